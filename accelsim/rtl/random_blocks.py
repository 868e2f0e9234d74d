"""Random blocks for a design: sizes, integers, multipliers. The same generator gives the same blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.hardware.requantizer import Requantizer
from accelsim.mapping.fold_plan import BlockShape, accumulator_entries, groups_per_fold
from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.axis import Axis
from accelsim.numerics.integer_array import extremes, total
from accelsim.numerics.qtype import QType
from accelsim.numerics.requantization import Requantization
from accelsim.numerics.scheme import scheme_named
from accelsim.rtl.cases import Block
from accelsim.rtl.design import GridDesign, Number
from accelsim.rtl.rescaling import SHIFT_BITS

#: `uniform`: each integer is as likely. `extreme`: ends of the ranges, biases near the accumulators' ends.
Values = Literal["uniform", "extreme"]

#: Attempts to find multipliers under which the rule's source defines every output.
_ATTEMPTS = 50


def work_of(*, positions: int, k: int, n: int, groups: int = 1, window: int = 1) -> tuple[GemmWork, BlockShape]:
    """A matrix product of these sizes; `window` splits K into as many kernel positions (of a 1 x window kernel)."""
    assert k % window == 0
    columns = Axis(window, 1, kernel=window) if window > 1 else Axis(1, 1)
    work = GemmWork(groups=groups, images=1, rows=Axis(positions, positions), columns=columns, channels=k // window, n=n,
                    has_channel_groups=groups > 1, weight_bits=2, input_bits=2, output_bits=2)
    return work, BlockShape(groups=groups, positions=positions, n=n, k_first=0, k=k)


def random_sizes(design: GridDesign, rng: np.random.Generator, *, most: float = 2.5) -> tuple[GemmWork, BlockShape]:
    """A block that fills folds wholly or partly, `most` folds a dimension, and fits into the accumulators."""
    grid = design.grid
    side = max(grid.rows, grid.columns)
    while True:
        window = int(rng.choice((1, 1, 2, 3)))
        groups = int(rng.choice((1, 1, 1, 2, 5)))
        k = window * int(rng.integers(1, max(2, int(most * grid.rows / window))))
        n = int(rng.integers(1, max(2, int(most * side))))
        if groups > 1 and grid.dataflow == "weight_stationary":
            n = int(rng.integers(1, grid.columns + 1))
        positions = int(rng.integers(1, max(2, int(most * side))))
        work, block = work_of(positions=positions, k=k, n=n, groups=groups, window=window)
        if entries_of(design, work, block) <= design.depth:
            return work, block


def entries_of(design: GridDesign, work: GemmWork, block: BlockShape) -> int:
    """Entries a lane that `block_streams` gives a block: groups do not share the depth of one."""
    grid = design.grid
    if design.is_output_stationary:
        slots, lanes = (block.n, block.positions) if design.drains_sideways else (block.positions, block.n)
        places = design.lanes * grid.pixels if design.drains_sideways else design.lanes
        slot_pixels = 1 if design.drains_sideways else grid.pixels
        folds = -(-slots // (design.drain_slots * slot_pixels))
        return block.groups * -(-lanes // places) * folds * design.drain_slots
    packs = block.groups if grid.dataflow == "input_stationary" else -(-block.groups // groups_per_fold(work, grid))
    return packs * accumulator_entries(grid, work, groups=1, positions=block.positions, n=block.n)


def random_block(design: GridDesign, rng: np.random.Generator, sizes: tuple[GemmWork, BlockShape],
                 values: Values = "uniform") -> Block:
    """A block of these sizes with random integers and multipliers.

    Where accumulators are wider than those that the requantization rule is defined for, the integers are drawn from as many
    of their lower bits as the rule takes.
    """
    work, shape = sizes
    for unused_bits in range(max(design.input_number.bits, design.weight_number.bits)):
        inputs = _integers(rng, design.input_number, (shape.groups, shape.positions, shape.k), values, unused_bits)
        weights = _integers(rng, design.weight_number, (shape.groups, shape.n, shape.k), values, unused_bits)
        zero_point = int(rng.integers(*_narrowed(design.input_number, unused_bits), endpoint=True))
        bias = _biases(design, rng, (shape.groups, shape.n), values)
        block = Block(work, shape, inputs, weights, bias, zero_point, None)
        if design.requantizer is None:
            return block
        sums = total(block.sums(design)[0], np.asarray(0) if design.accumulators.preloads_bias else bias[:, None])
        low, high = extremes(sums)
        if low >= -_rule_range(design) and high < _rule_range(design):
            return replace(block, requantization=_requantization(design, rng, sums))
    raise AssertionError("zeros fit every rule")


def _rule_range(design: GridDesign) -> int:
    """2^(P-1) of the P-bit accumulators that the requantization rule takes."""
    assert design.requantizer is not None
    return 1 << (scheme_named(design.requantizer.scheme).accumulator_bits - 1)


def _narrowed(number: Number, unused_bits: int) -> tuple[int, int]:
    """The range of its lower bits; one bit at least."""
    low, high = number.range
    return low >> min(unused_bits, number.bits - 1), high >> min(unused_bits, number.bits - 1)


def _integers(rng: np.random.Generator, number: Number, shape: tuple[int, ...], values: Values,
              unused_bits: int) -> NDArray[np.int64]:
    low, high = _narrowed(number, unused_bits)
    if values == "uniform":
        return rng.integers(low, high, shape, endpoint=True)
    # Runs of one end, so that sums walk far before they turn.
    return np.where(rng.random(shape) < rng.choice((0.1, 0.5, 0.9)), low, high).astype(np.int64)


def _biases(design: GridDesign, rng: np.random.Generator, shape: tuple[int, ...], values: Values) -> NDArray[np.int64]:
    """Biases of at most 32 bits that leave room where the sum itself must fit the rule."""
    accumulators = design.accumulators
    half = 1 << (min(accumulators.bits, 32) - 1)
    if values == "uniform":
        return rng.integers(-half // 16, half // 16, shape, endpoint=True)
    if not accumulators.preloads_bias or accumulators.bits > 32:
        half //= 4
    return rng.choice((-half, -half + 1, half - 1, half // 2, 0), shape)


def _requantization(design: GridDesign, rng: np.random.Generator, sums: NDArray[Any]) -> Requantization:
    """Multipliers, one a channel or one for all, that spread these sums over the output's range."""
    assert design.requantizer is not None
    number = design.input_number
    qtype = QType(number.bits, number.is_signed)
    largest = max(1, int(np.abs(sums.astype(object)).max()))
    for _ in range(_ATTEMPTS):
        reach = float(2.0 ** rng.uniform(-2, 3)) * qtype.max / largest
        channels = (sums.shape[-1],) if rng.random() < 0.7 else ()
        scales = np.minimum(reach * 2.0 ** rng.uniform(-1, 1, channels), 2.0**20)
        clamps = np.sort(rng.integers(qtype.min, qtype.max, 2, endpoint=True)) if rng.random() < 0.3 else (None, None)
        point = int(rng.integers(qtype.min, qtype.max, endpoint=True)) if rng.random() < 0.7 else 0
        try:
            unit = _rounded_unit(design.requantizer, rng, scales, point, qtype, *clamps)
            unit.requantize(sums)
        except NumericsError:
            continue
        shifts = unit.multiplier.shift
        if int(shifts.min()) >= 0 and int(shifts.max()) < 1 << SHIFT_BITS:
            return unit
    raise AssertionError(f"no multipliers of {design.requantizer.scheme} are defined for sums up to {largest}")


def _rounded_unit(requantizer: Requantizer, rng: np.random.Generator, scales: NDArray[np.float64], point: int, qtype: QType,
                  low: int | None, high: int | None) -> Requantization:
    """The rule with these scales; of shift_floor with random numbers to add."""
    if requantizer.scheme == "power_of_two":
        scales = 2.0 ** np.minimum(np.round(np.log2(scales)), 0)
    unit = requantizer.rule.requantization(scales, zero_point=point, qtype=qtype,
                                           clamp_min=None if low is None else int(low),
                                           clamp_max=None if high is None else int(high))
    if requantizer.scheme != "shift_floor":
        return unit
    shift = np.maximum(unit.multiplier.shift, 0)
    addend = rng.integers(-(1 << np.minimum(shift, 40)), 1 << np.minimum(shift, 40))
    return Requantization.of_integers(
        scheme_named("shift_floor").name, multiplier=unit.multiplier.mantissa, shift=shift, addend=addend,
        zero_point=point, qtype=qtype, clamp_min=unit.clamp_min, clamp_max=unit.clamp_max)
