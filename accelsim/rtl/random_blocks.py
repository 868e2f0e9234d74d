"""Random blocks for a design: sizes, integers, multipliers. The same generator gives the same blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.hardware.requantizer import Requantizer
from accelsim.mapping.fold_plan import BlockShape
from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.axis import Axis
from accelsim.numerics.integer_array import extremes, total
from accelsim.numerics.qtype import QType
from accelsim.numerics.requantization import Requantization
from accelsim.numerics.scheme import scheme_named
from accelsim.rtl.block_streams import entries_of
from accelsim.rtl.cases import Block
from accelsim.rtl.design import GridDesign
from accelsim.rtl.number import Number
from accelsim.rtl.products.codebook import CodebookArithmetic
from accelsim.rtl.products.mode import Mode
from accelsim.rtl.rescaling import SHIFT_BITS

#: `uniform`: each integer is as likely. `extreme`: ends of the ranges, biases near the accumulators' ends.
Values = Literal["uniform", "extreme"]

#: Attempts to find multipliers under which the rule's source defines every output.
_ATTEMPTS = 50


def work_of(mode: Mode, *, positions: int, k: int, n: int, groups: int = 1, window: int = 1) -> tuple[GemmWork, BlockShape]:
    """A matrix product of these sizes; `window` splits K into as many kernel positions (of a 1 x window kernel)."""
    assert k % window == 0
    columns = Axis(window, 1, kernel=window) if window > 1 else Axis(1, 1)
    work = GemmWork(groups=groups, images=1, rows=Axis(positions, positions), columns=columns, channels=k // window, n=n,
                    has_channel_groups=groups > 1, weight_bits=mode.weight_bits, input_bits=mode.input_bits, output_bits=2)
    return work, BlockShape(groups=groups, positions=positions, n=n, k_first=0, k=k)


def random_sizes(design: GridDesign, rng: np.random.Generator, *, mode: Mode | None = None,
                 most: float = 2.5) -> tuple[GemmWork, BlockShape]:
    """A block that fills folds wholly or partly, `most` folds a dimension, and fits into the accumulators."""
    grid, mode = design.grid, mode or design.arithmetic.modes[0]
    side = max(grid.rows, grid.columns)
    while True:
        window = int(rng.choice((1, 1, 2, 3)))
        groups = int(rng.choice((1, 1, 1, 2, 5)))
        k = window * int(rng.integers(1, max(2, int(most * grid.rows * mode.pairs / window))))
        n = int(rng.integers(1, max(2, int(most * side * mode.channels))))
        if groups > 1 and grid.dataflow == "weight_stationary":
            n = int(rng.integers(1, grid.columns * mode.channels + 1))
        positions = int(rng.integers(1, max(2, int(most * side))))
        work, shape = work_of(mode, positions=positions, k=k, n=n, groups=groups, window=window)
        if entries_of(design, work, shape, mode) <= design.depth:
            return work, shape


def random_mode(design: GridDesign, rng: np.random.Generator) -> Mode:
    """One of the modes."""
    return design.arithmetic.modes[int(rng.integers(len(design.arithmetic.modes)))]


def random_block(design: GridDesign, rng: np.random.Generator, sizes: tuple[GemmWork, BlockShape],
                 values: Values = "uniform", *, mode: Mode | None = None, table: tuple[int, ...] | None = None) -> Block:
    """A block of these sizes with random integers and multipliers.

    Where accumulators are wider than those that the requantization rule is defined for, the integers are drawn from as many
    of their lower bits as the rule takes.

    Parameters
    ----------
    mode : that the sizes are of; left out, the first. table : of codebook PEs; left out, a random one.
    """
    (work, shape), arithmetic = sizes, design.arithmetic
    mode = mode or arithmetic.modes[0]
    for unused_bits in range(max(mode.input_bits, arithmetic.step_number.bits)):
        inputs = _integers(rng, arithmetic.input_values(mode), arithmetic.input_number(mode),
                           (shape.groups, shape.positions, shape.k), values, unused_bits)
        weights, places, entries = _weights(design, rng, mode, shape, values, unused_bits, table)
        zero_point = int(rng.integers(*_narrowed(arithmetic.input_number(mode), unused_bits), endpoint=True))
        bias = _biases(design, rng, (shape.groups, shape.n), values)
        block = Block(work, shape, mode, inputs, weights, bias, zero_point, None, entries, places)
        if design.requantizer is None:
            return block
        sums = total(block.sums(design)[0], np.asarray(0) if design.accumulators.preloads_bias else bias[:, None])
        low, high = extremes(sums)
        if low >= -_rule_range(design) and high < _rule_range(design):
            return replace(block, requantization=_requantization(design, rng, sums))
    raise AssertionError("small integers fit every rule")


def _weights(design: GridDesign, rng: np.random.Generator, mode: Mode, shape: BlockShape, values: Values, unused_bits: int,
             table: tuple[int, ...] | None) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, tuple[int, ...]]:
    """(weights (G, N, K), their places in the table, the table)."""
    arithmetic = design.arithmetic
    number, sizes = arithmetic.weight_number(mode), (shape.groups, shape.n, shape.k)
    if not isinstance(arithmetic, CodebookArithmetic):
        return _integers(rng, arithmetic.weight_values(mode), number, sizes, values, unused_bits), None, ()
    if table is None:
        table = tuple(_integers(rng, None, number, (1 << arithmetic.place_bits,), values, unused_bits).tolist())
    length = arithmetic.vector_length
    entries = rng.integers(0, len(table) >> (length - 1).bit_length(), (*sizes[:2], -(-shape.k // length)))
    places = arithmetic.places(entries)[..., :shape.k]
    return np.asarray(table, dtype=np.int64)[places], places, table


def _rule_range(design: GridDesign) -> int:
    """2^(P-1) of the P-bit accumulators that the requantization rule takes."""
    assert design.requantizer is not None
    return 1 << (scheme_named(design.requantizer.scheme).accumulator_bits - 1)


def _narrowed(number: Number, unused_bits: int) -> tuple[int, int]:
    """The range of its lower bits; one bit at least."""
    low, high = number.range
    return low >> min(unused_bits, number.bits - 1), high >> min(unused_bits, number.bits - 1)


def _integers(rng: np.random.Generator, allowed: Sequence[int] | None, number: Number, shape: tuple[int, ...],
              values: Values, unused_bits: int) -> NDArray[np.int64]:
    """Integers of a width, or of those that are allowed."""
    if allowed is not None:
        reach = max(max(allowed) >> unused_bits, 1)
        few = [value for value in allowed if abs(value) <= reach]
        return rng.choice(few if values == "uniform" else (min(few), max(few)), shape).astype(np.int64)
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
    number = design.output_number
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
