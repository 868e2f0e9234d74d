"""Chooses the mapping of a layer: all candidates by the fast cost model, the best few by the simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from accelsim.errors import MappingError
from accelsim.hardware.accelerator import Accelerator
from accelsim.mapping.candidates import Candidates, candidates
from accelsim.mapping.cost import CostModel, Estimate
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.lowering import lower
from accelsim.mapping.options import MappingOptions, Objective
from accelsim.mapping.placement import IN_DRAM, Placement
from accelsim.mapping.program import LayerProgram
from accelsim.mapping.tiling import Tiling
from accelsim.mapping.traffic_cost import TrafficCost
from accelsim.mapping.vector_program import build_vector_program
from accelsim.workload.layer import Layer

#: Runs a layer's program and returns what it cost by the objective (lower is better). The simulator passes itself in.
Prove = Callable[[LayerProgram], float]

#: Estimates that differ by less than this are a tie: the fast model is no finer. Fewer steps then win.
_RESOLUTION = 0.01

#: An estimate that is better by this much is trusted without proving what it is better than.
_CERTAINTY = 0.1

#: Candidates whose compute steps add up to less than this are proved beyond the wanted number: they cost next to nothing.
_CHEAP_STEPS = 200

#: Tiles smaller than a full fold are only used for programs up to this length.
_MOST_FINE_STEPS = 200_000

#: Counts in the cost model stay within 64 bits up to here.
_MOST_MACS = 2**53

#: So many times the wanted number is the most.
_MOST_PROOFS = 8

#: A program longer than this is only considered when nothing shorter fits.
_MOST_STEPS = 20_000


@dataclass(frozen=True, slots=True)
class Mapper:
    """A deterministic mapper for one accelerator.

    Parameters
    ----------
    options : objective, and how many candidates are proved.
    traffic : costs of moving bytes, for the energy objectives.
    prove : runs a program and returns its cost.
    """

    accelerator: Accelerator
    options: MappingOptions
    traffic: TrafficCost
    prove: Prove

    def map(self, layer: Layer, placement: Placement = IN_DRAM) -> LayerProgram:
        """The program of a layer.

        Raises
        ------
        MappingError : no tile of the layer fits; says which buffer is too small and what it would have to hold. An
            operand is wider than the PEs can multiply.
        """
        return self.program(layer, self.tiling(layer, placement), placement)

    def program(self, layer: Layer, tiling: Tiling | None, placement: Placement = IN_DRAM) -> LayerProgram:
        """The program of a layer under a chosen tiling (None for the vector unit, which needs none)."""
        if tiling is None:
            return build_vector_program(layer, self.accelerator, placement)
        return build_grid_program(layer, tiling, self.accelerator, placement)

    def tiling(self, layer: Layer, placement: Placement = IN_DRAM) -> Tiling | None:
        """The tiling that costs least in the simulator; None for a layer of the vector unit."""
        if not layer.is_on_grid:
            return None
        self.check(layer)
        tilings = self.best_tilings(layer, placement)
        if len(tilings) == 1:
            return tilings[0]
        costs = [(self.prove(self.program(layer, tiling, placement)), place) for place, tiling in enumerate(tilings)]
        return tilings[min(costs)[1]]

    def best_tilings(self, layer: Layer, placement: Placement = IN_DRAM) -> list[Tiling]:
        """The tilings worth proving, best estimate first.

        Ties within the model's resolution go to less energy, then to fewer steps, then to the earlier candidate. The best
        comes once more with its stores behind the next loads, if outputs have two buffers. Blocks of positions that are
        rectangles come beside the others where they promise less, so that they never make a layer slower; alone, where they
        promise less by more than the estimates are wrong.
        """
        work = lower(layer, has_row_sum_unit=self.accelerator.pe_grid.row_sum_unit)
        model = CostModel(work, self.accelerator, placement, traffic=self.traffic,
                          loads_inputs=layer.streamed.name not in placement.resident_inputs)
        every = candidates(work, self.accelerator.pe_grid)
        estimate = model.estimate(every)
        fitting = np.flatnonzero(self._fits(estimate, placement))
        if fitting.size == 0:
            error = self._nothing_fits(layer, every, estimate, placement)
            every = candidates(work, self.accelerator.pe_grid, is_fine=True)
            estimate = model.estimate(every)
            fitting = np.flatnonzero(self._fits(estimate, placement) & (estimate.steps <= _MOST_FINE_STEPS))
            if fitting.size == 0:
                raise error
        is_rectangle = every.is_rectangle(work)[fitting]
        plain, rectangles = fitting[~is_rectangle], fitting[is_rectangle]
        if not plain.size or not rectangles.size:
            return self._tilings(every, estimate, fitting)
        score = self._score(estimate)
        promised, known = float(score[rectangles].min()), float(score[plain].min())
        if promised < (1 - _CERTAINTY) * known:
            return self._tilings(every, estimate, rectangles)
        found = self._tilings(every, estimate, plain)
        return found + self._tilings(every, estimate, rectangles) if promised < (1 - _RESOLUTION) * known else found

    def _tilings(self, every: Candidates, estimate: Estimate, fitting: npt.NDArray[np.int64]) -> list[Tiling]:
        """Those worth proving of some that fit, best estimate first."""
        short = fitting[estimate.steps[fitting] <= _MOST_STEPS]
        fitting = short if short.size else fitting[np.argsort(estimate.steps[fitting], kind="stable")[:1]]
        score = self._score(estimate)[fitting]
        energy = estimate.energy_pj[fitting]
        best = fitting[np.lexsort((estimate.steps[fitting], _grades(energy), _grades(score)))]
        best = self._different(every, estimate, best)
        tilings = [every.tiling(int(index)) for index in best[:self._proofs(estimate.steps[best])]]
        if len(tilings) > 1 and self.accelerator.memory.buffer_of("outputs").double_buffered:
            tilings.append(replace(tilings[0], store_lag=1))
        return tilings

    def _different(
        self, every: Candidates, estimate: Estimate, best: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """The first of `best` that differ in tiles or estimate: schedules that come to the same program count once."""
        seen: dict[tuple[object, ...], int] = {}
        for index in best.tolist():
            seen.setdefault((*every.tiles(index), float(estimate.cycles[index]), float(estimate.energy_pj[index])), index)
            if len(seen) == _MOST_PROOFS * self.options.proved_candidates:
                break
        return np.array(list(seen.values()))

    def _proofs(self, steps: npt.NDArray[np.int64]) -> int:
        """How many of the best are proved: as many as the options ask for, and more while they are short."""
        wanted = self.options.proved_candidates
        if wanted == 1:
            return 1
        return max(wanted, int(np.searchsorted(np.cumsum(steps[:_MOST_PROOFS * wanted]), _CHEAP_STEPS)))

    def _fits(self, estimate: Estimate, placement: Placement) -> npt.NDArray[np.bool_]:
        fits = estimate.entries <= self.accelerator.accumulators.block_entries
        for name, room in placement.free_bytes(self.accelerator).items():
            if name in estimate.region_bytes:
                fits = fits & (estimate.region_bytes[name] <= room)
        return np.asarray(fits)

    def _score(self, estimate: Estimate) -> npt.NDArray[np.float64]:
        scores: dict[Objective, npt.NDArray[np.float64]] = {
            "latency": estimate.cycles, "energy": estimate.energy_pj, "edp": estimate.cycles * estimate.energy_pj}
        return scores[self.options.objective]

    def check(self, layer: Layer) -> None:
        """Raise `MappingError` for operands wider than the PEs multiply, or more work than the cost model can count."""
        if layer.macs > _MOST_MACS:
            raise MappingError(f"expected at most 2^53 MACs, got {layer.macs}", field=layer.name)
        precision = self.accelerator.pe_grid.precision
        if precision.executed_bits(weight_bits=layer.weight_bits, input_bits=layer.input_bits) is None:
            limits = " or ".join(f"{weights}-bit weights and {inputs}-bit inputs" for weights, inputs in precision.limits)
            raise MappingError(f"expected operands of at most {limits} on {self.accelerator.name}, "
                               f"got {layer.weight_bits} and {layer.input_bits}", field=layer.name)

    def _nothing_fits(
        self, layer: Layer, every: Candidates, estimate: Estimate, placement: Placement
    ) -> MappingError:
        """Blame the buffer that needs the most relative to its size, for the candidate that comes closest to fitting."""
        accumulators = self.accelerator.accumulators
        legal = estimate.entries <= accumulators.block_entries
        if not legal.any():
            return MappingError(f"needs at least {int(estimate.entries.min())} accumulator entries per lane, "
                                f"{self.accelerator.name} has {accumulators.block_entries}", field=layer.name)
        room = placement.free_bytes(self.accelerator)
        names = list(estimate.region_bytes)
        fill = np.stack([np.where(legal, estimate.region_bytes[name] / max(1, room[name]), np.inf) for name in names])
        closest = int(np.argmin(fill.max(axis=0)))
        name = names[int(np.argmax(fill[:, closest]))]
        needed = int(estimate.region_bytes[name][closest])
        return MappingError(f"its tiles of a full fold need at least {needed} B in buffer {name}, which has {room[name]} B",
                            field=layer.name)


def _grades(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Values in steps of the model's resolution above the best; 0 where the best is 0."""
    best = float(values.min())
    return np.floor((values / best - 1) / _RESOLUTION) if best > 0 else np.zeros_like(values)
