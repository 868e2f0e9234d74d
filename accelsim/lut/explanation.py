"""How far bit operations mislead on some hardware: what fewer bits promise each layer, what they give, and why not more.

A layer's bit operations (BOPs) are ``MACs * weight bits * input bits`` (the measure of HAWQ-V3, Yao et al. 2021,
arXiv 2011.10680). A search that counts them takes every halving of bits for a halving of time. The table knows what really
happens; this says where it differs and what binds there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from accelsim.errors import TableError
from accelsim.lut.latency_table import LatencyTable
from accelsim.lut.layer_cost import LayerCost
from accelsim.lut.operand_bits import OperandBits

Reason = Literal["faster", "memory bound", "fixed precision", "grid under-filled", "fill, drain and waiting", "not known"]

#: In the order in which figures and tables show them.
REASONS: tuple[Reason, ...] = get_args(Reason)

#: A layer that becomes less than this much faster gains nothing from fewer bits.
LEAST_GAIN = 1.05


@dataclass(frozen=True, slots=True)
class Halving:
    """A layer before and after it gets fewer bits.

    Parameters
    ----------
    what : "weights", "inputs" or "both".
    wide, narrow : its bits.
    promised : BOPs before, divided by those after.
    gain : cycles before, divided by those after.
    reason : "faster", or why it gains nothing.
    """

    what: Literal["weights", "inputs", "both"]
    wide: OperandBits
    narrow: OperandBits
    promised: float
    gain: float
    reason: Reason


@dataclass(frozen=True, slots=True)
class LayerExplanation:
    """One layer of the grid.

    Parameters
    ----------
    layer : its name. macs : its MACs.
    cycles : at the widest bits.
    correlation : Spearman's, of BOPs with cycles over all pairs of bits; None where no bits change its cycles.
    halvings : from the widest bits, for weights, inputs and both, as far as the table has them.
    points : (BOPs, cycles, whether memory bound) of every pair, relative to the widest one.
    """

    layer: str
    macs: int
    cycles: int
    correlation: float | None
    halvings: tuple[Halving, ...]
    points: tuple[tuple[float, float, bool], ...]

    def halving(self, what: str) -> Halving | None:
        return next((halving for halving in self.halvings if halving.what == what), None)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of a whole table.

    Parameters
    ----------
    layers : those of the grid, in the order of the network.
    output_bits, accumulator_bits : at which they are compared.
    network : (weight bits, input bits, BOPs, cycles of all grid layers together) of every uniform choice.
    correlation : Spearman's over these choices; None where they all take the same time.
    misordered : share of the pairs of uniform choices of which the one with fewer BOPs is slower.
    """

    layers: tuple[LayerExplanation, ...]
    output_bits: int
    accumulator_bits: int | None
    network: tuple[tuple[int, int, int, int], ...]
    correlation: float | None
    misordered: float


def explain(table: LatencyTable) -> Explanation:
    """BOPs against latency in a table.

    Rows are compared at one width of outputs (8 bits, or else the widest that all layers have) and of accumulators.

    Raises
    ------
    TableError : a table without a layer on the grid, or without a width of outputs that all of them have.
    """
    names = [layer for layer in table.layers if any(bits.weight_bits is not None for bits in table.choices(layer))]
    if not names:
        raise TableError("expected a layer of the PE grid to explain, got none", field=table.header.network)
    common = set.intersection(*({bits.output_bits for bits in table.choices(name)} for name in names))
    if not common:
        raise TableError("expected a width of outputs that all layers have, got none", field=table.header.network)
    output = 8 if 8 in common else max(common)
    accumulators = max((bits.accumulator_bits for bits in table.choices(names[0])), key=lambda bits: bits or 0)
    layers = tuple(_explained(table, name, _rows(table, name, output, accumulators)) for name in names)
    network = tuple(_uniform(table, names, output, accumulators))
    bops, cycles = [choice[2] for choice in network], [choice[3] for choice in network]
    return Explanation(layers, output, accumulators, network, spearman(bops, cycles), _misordered(bops, cycles))


def bit_operations(cost: LayerCost, bits: OperandBits) -> int:
    """BOPs of a layer at its own bits, whatever the hardware rounds them up to."""
    return cost.macs * (bits.weight_bits or 0) * bits.input_bits


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation: Pearson's of the ranks, ties sharing their mean rank; None where one does not vary.

    >>> spearman([1, 2, 3, 4], [10, 20, 40, 30]), spearman([1, 2, 3], [5, 5, 5])
    (0.8, None)
    """
    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    import numpy as np

    ranks = [np.array(_ranks(values)) for values in (first, second)]
    centred = [rank - rank.mean() for rank in ranks]
    return float(round(centred[0] @ centred[1] / np.sqrt((centred[0] @ centred[0]) * (centred[1] @ centred[1])), 12))


def _ranks(values: Sequence[float]) -> list[float]:
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values)):
        places.setdefault(value, []).append(place)
    return [sum(places[value]) / len(places[value]) for value in values]


def _misordered(bops: Sequence[int], cycles: Sequence[int]) -> float:
    pairs = [(i, j) for i in range(len(bops)) for j in range(len(bops)) if bops[i] < bops[j]]
    return sum(cycles[i] > cycles[j] for i, j in pairs) / len(pairs) if pairs else 0.0


def _rows(table: LatencyTable, layer: str, output: int, accumulators: int | None) -> dict[OperandBits, LayerCost]:
    return {bits: table.cost(layer, bits) for bits in table.choices(layer)
            if bits.output_bits == output and bits.accumulator_bits == accumulators and bits.weight_bits is not None}


def _explained(table: LatencyTable, layer: str, rows: dict[OperandBits, LayerCost]) -> LayerExplanation:
    if not rows:
        raise TableError("expected rows of the same outputs and accumulators as the other layers, got none", field=layer)
    widest = max(rows, key=lambda bits: ((bits.weight_bits or 0) * bits.input_bits, bits.sort_key))
    whole = rows[widest]
    most = bit_operations(whole, widest)
    return LayerExplanation(
        layer=layer, macs=whole.macs, cycles=whole.cycles,
        correlation=spearman([bit_operations(cost, bits) for bits, cost in rows.items()],
                             [cost.cycles for cost in rows.values()]),
        halvings=tuple(_halvings(widest, rows)),
        points=tuple((bit_operations(cost, bits) / most, cost.cycles / whole.cycles, cost.bound == "memory")
                     for bits, cost in rows.items()) if most and whole.cycles else ())


def _halvings(wide: OperandBits, rows: dict[OperandBits, LayerCost]) -> Iterator[Halving]:
    """From the widest bits to half of them, rounded down, where the table has such rows."""
    assert wide.weight_bits is not None, "rows of the grid have bits of weights"
    weight, given = wide.weight_bits, wide.input_bits
    narrower: list[tuple[Literal["weights", "inputs", "both"], int, int]] = [
        ("weights", weight // 2, given), ("inputs", weight, given // 2), ("both", weight // 2, given // 2)]
    for what, weights, inputs in narrower:
        if min(weights, inputs) < 1:
            continue
        narrow = OperandBits(weights, inputs, wide.output_bits, wide.accumulator_bits)
        if narrow in rows:
            before, after = rows[wide], rows[narrow]
            gain = before.cycles / after.cycles if after.cycles else 1.0
            yield Halving(what, wide, narrow, weight * given / (weights * inputs), gain, _reason(before, after, gain))


def _reason(before: LayerCost, after: LayerCost, gain: float) -> Reason:
    """What holds a layer where it was.

    1. The DRAM is busy for longer than the grid computes: what it moves besides the narrowed operand takes the time.
    2. The PEs multiply no faster at these widths.
    3. They do, but the layer has too few channels or positions to fill a grid that takes more of them at once: the cycles in
       which it takes in new work stay what they were.
    4. These shrink, but filling and draining the grid, and waiting, outlast them.
    """
    if gain >= LEAST_GAIN:
        return "faster"
    if not before.peak_macs_per_cycle:  # a table of times alone
        return "not known"
    if after.bound == "memory":
        return "memory bound"
    if after.peak_macs_per_cycle <= before.peak_macs_per_cycle:
        return "fixed precision"
    if before.ideal_cycles < LEAST_GAIN * after.ideal_cycles:
        return "grid under-filled"
    return "fill, drain and waiting"


def _uniform(table: LatencyTable, names: Sequence[str], output: int,
             accumulators: int | None) -> Iterator[tuple[int, int, int, int]]:
    """Every pair of bits that all layers have."""
    every = [_rows(table, name, output, accumulators) for name in names]
    pairs = set.intersection(*({(bits.weight_bits or 0, bits.input_bits) for bits in rows} for rows in every))
    for weight, given in sorted(pairs):
        bits = OperandBits(weight, given, output, accumulators)
        costs = [table.cost(name, bits) for name in names]
        yield weight, given, sum(bit_operations(cost, bits) for cost in costs), sum(cost.cycles for cost in costs)


def rounded_up(table: LatencyTable) -> dict[tuple[int, int], tuple[int, int]]:
    """(weight, input) bits of the table -> those at which the PEs multiply them, where these are wider."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for (_, bits), cost in table.costs.items():
        own, effective = (bits.weight_bits, bits.input_bits), (cost.effective_weight_bits, cost.effective_input_bits)
        if own[0] is None or effective[0] is None or effective[1] is None:
            continue
        if effective[0] > own[0] or effective[1] > own[1]:
            found[own[0], own[1]] = (effective[0], effective[1])
    return dict(sorted(found.items()))
