"""Everything of a search before a solver runs: the space, costs from the table, sensitivities, budgets."""

from __future__ import annotations

from functools import cached_property

from accelsim.lut.latency_table import LatencyTable
from accelsim.lut.table_builder import build_table
from accelsim.quantization.bit_policy import BitPolicy
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placing import place
from accelsim.quantization.preparation.batch_norm_folding import fold_batch_norms
from accelsim.search.accumulator_costs import AccumulatorNeeds, accumulator_terms
from accelsim.search.budget import Budget
from accelsim.search.operand import Operand
from accelsim.search.problem import Problem
from accelsim.search.request import HESSIAN, SearchRequest
from accelsim.search.samples import Samples
from accelsim.search.sensitivities.given import read_sensitivities
from accelsim.search.sensitivities.hessian_trace import hessian_sensitivity, read_traces
from accelsim.search.sensitivities.measurement import Measurement, WidthCosts
from accelsim.search.sensitivities.measures import MEASURES, sensitivity_terms
from accelsim.search.solution import Told
from accelsim.search.space import SearchSpace
from accelsim.search.table_costs import table_costs, uniform_costs
from accelsim.search.width_models import WidthModels, search_policy

#: The cost that is made small.
SENSITIVITY = "sensitivity"


class PreparedSearch:
    """The parts of a search, each made when it is first asked for.

    Parameters
    ----------
    request : what is asked.
    told : for a progress bar.
    """

    def __init__(self, request: SearchRequest, told: Told | None = None) -> None:
        self.request = request
        self.told = told

    @cached_property
    def _prepared(self) -> tuple[FloatModel, tuple[str, ...]]:
        model, remarks = fold_batch_norms(self.request.model)
        return model, tuple(remarks)

    @property
    def model(self) -> FloatModel:
        """With folded batch normalizations."""
        return self._prepared[0]

    @property
    def folded(self) -> tuple[str, ...]:
        """What was folded, in words."""
        return self._prepared[1]

    @cached_property
    def base(self) -> BitPolicy:
        """What the chosen widths are put into."""
        if self.request.policy is not None:
            return self.request.policy
        return search_policy(has_power_of_two_scale=self.request.accelerator.rule.scheme == "power_of_two")

    @cached_property
    def space(self) -> SearchSpace:
        return SearchSpace.of(self.model, place(self.model, self.base.placement), self.request.space)

    @cached_property
    def table(self) -> LatencyTable:
        """Costs of all widths; one that was made for something else is refused."""
        request, space = self.request, self.space
        if request.table is not None:
            request.table.check(network=space.network, accelerator=request.accelerator, file=request.table_file)
            return request.table
        return build_table(
            space.network, request.accelerator, weight_bits=space.widths("weights"), input_bits=space.widths("activations"),
            accumulator_bits=self._accumulator_widths, store=request.store, workers=request.workers, told=self.told)

    @property
    def _accumulator_widths(self) -> tuple[int, ...] | None:
        """Those that are open, and the accelerator's own, which uniform networks have."""
        if not self.request.space.accumulator_bits:
            return None
        return tuple(sorted({*self.request.space.accumulator_bits, self.request.accelerator.accumulators.bits}))

    @cached_property
    def models(self) -> WidthModels:
        """The network at every width."""
        widths = tuple(sorted({*self.space.widths("weights"), *self.space.widths("activations")}))
        return WidthModels.of(self.request.model, self.request.data, self.base, widths, self.told)

    @cached_property
    def samples(self) -> Samples:
        """Of `data`."""
        return Samples.load(self.request.data, self.model)

    @cached_property
    def asked(self) -> dict[Operand, tuple[int, ...]]:
        """Widths whose sensitivity counts."""
        return {operand: self.space.widths_of(operand) for operand in self.space.free_operands}

    @property
    def measure(self) -> str:
        """What reports call the sensitivity."""
        return self.request.measure if self.request.sensitivities is None else self.request.sensitivities.name

    @cached_property
    def sensitivities(self) -> WidthCosts:
        """Measured, or from a file."""
        request = self.request
        if request.sensitivities is not None:
            return read_sensitivities(request.sensitivities, self.asked, self._groups)
        measurement = Measurement(self.models, self.asked, self.samples, self.told)
        if request.measure == HESSIAN:
            assert request.traces is not None
            return hessian_sensitivity(measurement, read_traces(request.traces, self._groups))
        return MEASURES[request.measure](measurement)

    @property
    def _groups(self) -> dict[str, str]:
        """Tensor, or layer that writes it -> its group."""
        placement = place(self.model, self.base.placement)
        found = {name: group.name for group in placement.groups.values() for name in group.layers}
        return found | {tensor.name: tensor.group for tensor in placement.tensors}

    @cached_property
    def uniform(self) -> dict[str, float]:
        """Costs with 8 bits everywhere."""
        return uniform_costs(self.space, self.table)

    @cached_property
    def budgets(self) -> tuple[Budget, ...]:
        header = self.table.header
        return tuple(Budget.parse(cost, text, uniform=self.uniform, clock_hz=header.clock_hz, energy_unit=header.energy_unit)
                     for cost, text in self.request.budgets.items())

    @property
    def accumulator_variables(self) -> set[str]:
        """Those that are widths of accumulators."""
        return {name for operand, name in self.space.variable_of.items() if operand.kind == "accumulators"}

    @cached_property
    def problem(self) -> Problem:
        """Costs, budgets, sensitivities."""
        budgets = self.budgets
        costs = table_costs(self.space, self.table)
        terms = sensitivity_terms(self.space, self.sensitivities)
        if self.request.space.accumulator_bits:
            needs = AccumulatorNeeds.measured(self.space, self.models, self.request.accelerator, self.samples, self.told)
            terms += accumulator_terms(self.space, needs, is_safe=self.request.is_accumulator_safe,
                                       weight=self.request.overflow_weight)
        units = {"latency": "cycles", "energy": self.table.header.energy_unit, "size": "bytes", "bops": "bit operations",
                 "traffic": "bytes"}
        return Problem(self.space.variables, {SENSITIVITY: terms, **costs}, SENSITIVITY,
                       {budget.cost: budget.limit for budget in budgets}, units)
