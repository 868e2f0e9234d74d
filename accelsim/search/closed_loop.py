"""The whole search: table, sensitivities, solver, policy, quantization, and the run that proves or refutes the promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from accelsim.errors import AccelsimError, SearchError
from accelsim.quantization.bit_policy import BitPolicy
from accelsim.quantization.float_session import FloatSession
from accelsim.quantization.quantize import quantize
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.search.budget import cost_text
from accelsim.search.equal_choices import settled
from accelsim.search.execution import Execution, class_count, classes_of, execute
from accelsim.search.ilp import IntegerProgram
from accelsim.search.outcome import Contender, LayerProof, Outcome
from accelsim.search.pareto import ParetoFront, pareto_front
from accelsim.search.prepared_search import PreparedSearch
from accelsim.search.problem import LIMIT_TOLERANCE, Problem
from accelsim.search.request import SearchRequest
from accelsim.search.samples import Samples
from accelsim.search.solution import Solution, Told
from accelsim.search.width_models import at_width

#: Repairs before a policy whose run breaks a budget is refused.
MOST_REPAIRS = 8

# Of a front that is drawn: nearer to the optimum than a pixel.
_FRONT_GAP = 1e-4


def search(request: SearchRequest, told: Told | None = None) -> Outcome:
    """Finds widths, quantizes the network with them, and runs it.

    Raises
    ------
    SearchError : budgets that nothing keeps, sensitivities that are missing, a policy that no repair saves.
    TableError : a table for something else.
    AccelsimError : what quantization and simulation raise.
    """
    return _Loop(request, told).outcome()


class _Loop:
    """One search on its way."""

    def __init__(self, request: SearchRequest, told: Told | None) -> None:
        self.request = request
        self.told = told
        self.parts = PreparedSearch(request, told)
        self.samples = self._evaluation()
        self.remarks: list[str] = []

    def outcome(self) -> Outcome:
        parts, problem = self.parts, self.parts.problem
        solution, quantized, execution = self._chosen(problem)
        policy = quantized.policy
        layers = self._layers(solution, execution)
        self._remark_on_widths(layers)
        return Outcome(
            space=parts.space, table=parts.table, problem=problem, budgets=parts.budgets, sensitivity=parts.measure,
            sensitivities=parts.sensitivities, solution=solution, policy=policy, quantized=quantized,
            result=execution.result, layers=layers, contenders=self._contenders(quantized, execution, layers),
            front=self._front(problem, solution), uniform=parts.uniform, samples=self.samples.count,
            remarks=(*self._remarks_of(quantized), *self.remarks))

    def _remarks_of(self, quantized: QuantizedModel) -> list[str]:
        """What quantization did otherwise than asked; what was folded is no news."""
        return [remark for remark in quantized.remarks if remark not in self.parts.folded]

    def _evaluation(self) -> Samples:
        model = self.parts.model
        given = self.request.evaluation
        samples = self.parts.samples if given is None else Samples.load(given, model)
        if samples.labels is not None:
            # Told at once, not after the search; one batch has all classes of the network.
            outputs = FloatSession(model, model.outputs[:1]).run(dict(samples.batches[0]))
            samples.check_labels(class_count(next(iter(outputs.values()))))
        return samples

    def _chosen(self, problem: Problem) -> tuple[Solution, QuantizedModel, Execution]:
        """The solution whose run keeps the budgets, repaired where the table promised too much."""
        limits = dict(problem.limits)
        for attempt in range(MOST_REPAIRS + 1):
            limited = problem.with_limits(limits)
            solution = self.request.solver.solve(limited, seed=self.request.seed, told=self.told)
            if solution.objective == limited.evaluate(limited.objective, limited.indices(solution.assignment))[0]:
                solution = settled(limited, solution, self.parts.accumulator_variables)
            policy = self.parts.space.policy(solution.assignment, self.parts.base, name=f"{self.parts.base.name}_chosen")
            quantized = quantize(self.request.model, self.request.data, policy)
            execution = execute(self.request.accelerator, quantized, self.samples, options=self.request.options,
                                accumulators=self._accumulators(solution))
            broken = self._broken(problem.limits, execution)
            if not broken:
                return solution, quantized, execution
            lines = [f"{cost} {cost_text(cost, spent)} in the run, {cost_text(cost, problem.limits[cost])} allowed"
                     for cost, spent in broken.items()]
            if not self.request.verifies:
                self.remarks.append(f"the run breaks the budget: {'; '.join(lines)}; --verify repairs this")
                return solution, quantized, execution
            self.remarks.append(f"repair {attempt + 1}: {'; '.join(lines)}; the budget was tightened")
            for cost, spent in broken.items():
                # The prediction is off by the same share next to this solution, and a little more.
                limits[cost] = min(limits[cost], solution.costs[cost]) * problem.limits[cost] / spent * (1 - 1e-6)
        raise SearchError(f"expected a policy whose run keeps the budget, got none in {MOST_REPAIRS} repairs: {lines[0]}")

    def _accumulators(self, solution: Solution) -> dict[str, int]:
        bits = self.parts.space.bits(solution.assignment)
        return {name: each.accumulator_bits for name, each in bits.items() if each.accumulator_bits is not None}

    @staticmethod
    def _broken(limits: Mapping[str, float], execution: Execution) -> dict[str, float]:
        """Costs of the run that are above their limits."""
        spent = {"latency": float(execution.result.total_cycles),
                 "energy": sum(layer.total_energy_pj for layer in execution.layers.values()),
                 "traffic": float(execution.result.dram_bytes)}
        return {cost: spent[cost] for cost, limit in limits.items()
                if cost in spent and spent[cost] > limit * (1 + LIMIT_TOLERANCE)}

    def _layers(self, solution: Solution, execution: Execution) -> tuple[LayerProof, ...]:
        proofs = []
        for name, bits in self.parts.space.bits(solution.assignment).items():
            predicted, run = self.parts.table.cost(name, bits), execution.layers[name]
            values = next(layer.values for layer in execution.result.layers if layer.name == name)
            widths = None if values is None else values.widths
            effective = None
            if bits.weight_bits is not None:
                effective = (run.executed_weight_bits, run.executed_input_bits)
            proofs.append(LayerProof(
                name, bits.weight_bits, bits.input_bits, bits.output_bits, bits.accumulator_bits,
                None if widths is None else widths.worst_case_bits, predicted.cycles, run.total_cycles,
                predicted.energy_pj, run.total_energy_pj, effective))
        return tuple(proofs)

    def _remark_on_widths(self, layers: tuple[LayerProof, ...]) -> None:
        wider = [layer for layer in layers if layer.is_rounded_up]
        if wider:
            shown = ", ".join(f"{layer.name} {layer.weight_bits}/{layer.input_bits} as "
                              f"{layer.effective_bits[0]}/{layer.effective_bits[1]}"  # type: ignore[index]
                              for layer in wider[:3])
            more = f" and {len(wider) - 3} more" if len(wider) > 3 else ""
            self.remarks.append(f"the hardware rounds widths up: {shown}{more}")
        unsafe = [layer.name for layer in layers if layer.accumulator_bits is not None and layer.safe_bits is not None
                  and layer.safe_bits > layer.accumulator_bits]
        if unsafe and self.request.is_accumulator_safe:
            raise SearchError("expected accumulators that nothing overflows, got narrower ones than the quantized network's "
                              "bound: calibrate with other ranges, or leave the guarantee away", field=unsafe[0])
        if unsafe:
            self.remarks.append(f"accumulators that some inputs could overflow: {', '.join(unsafe)}")

    def _contenders(self, quantized: QuantizedModel, execution: Execution,
                    layers: tuple[LayerProof, ...]) -> tuple[Contender, ...]:
        session = FloatSession(self.request.model, self.request.model.outputs[:1])
        real = np.concatenate([classes_of(next(iter(session.run(dict(batch)).values()))) for batch in self.samples])
        found = [Contender("float", self._accuracy(real), 1.0)]
        for bits in (8, 4):
            found.append(self._uniform(bits, real))
        chosen = self._contender("chosen", quantized, execution, real)
        energy = sum(layer.simulated_energy_pj for layer in layers)
        return (*found, replace(chosen, energy_pj=energy))

    def _uniform(self, bits: int, real: np.ndarray) -> Contender:
        try:
            quantized = self._uniform_model(bits)
            execution = execute(self.request.accelerator, quantized, self.samples, options=self.request.options)
        except AccelsimError as error:
            return Contender(f"uniform {bits}", remark=str(error))
        return self._contender(f"uniform {bits}", quantized, execution, real)

    def _uniform_model(self, bits: int) -> QuantizedModel:
        policy: BitPolicy = at_width(self.parts.base, weight_bits=bits, activation_bits=bits)
        return quantize(self.request.model, self.request.data, policy)

    def _contender(self, name: str, quantized: QuantizedModel, execution: Execution, real: np.ndarray) -> Contender:
        answers = execution.answers
        assert answers is not None
        weights = sum(layer.weights.bytes for layer in quantized.network().network.layers if layer.weights is not None)
        return Contender(name, self._accuracy(answers), float(np.mean(answers == real)), execution.result.total_cycles,
                         execution.result.total_energy_pj, weights, execution.overflows)

    def _accuracy(self, answers: np.ndarray) -> float | None:
        labels = self.samples.labels
        return None if labels is None or len(labels) != len(answers) else float(np.mean(answers == labels))

    def _front(self, problem: Problem, solution: Solution) -> ParetoFront | None:
        if not self.request.front_points:
            return None
        cost = self.parts.budgets[0].cost
        front = pareto_front(problem, cost, points=self.request.front_points,
                             solver=IntegerProgram(relative_gap=_FRONT_GAP), told=self.told)
        return front.joined(solution)
