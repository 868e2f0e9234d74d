"""The cases of a written testbench: a few blocks that show what a grid does."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import zip_longest

import numpy as np

from accelsim.hardware.step_cost import StepCost
from accelsim.mapping.fold_plan import BlockShape, channel_lanes, position_lanes, reduction_lanes
from accelsim.mapping.lowering import GemmWork
from accelsim.rtl.block_streams import entries_of
from accelsim.rtl.cases import Block, Case, case_of
from accelsim.rtl.design import GridDesign
from accelsim.rtl.products.mode import Mode
from accelsim.rtl.random_blocks import random_block, work_of

#: Steps that a fold streams where they are not given by the grid's sides.
_STEPS = 12


def standard_cases(design: GridDesign, *, seed: int) -> list[Case]:
    """A whole fold, a partial one, several, overflowing ones and, where there are two halves, two blocks back to back.

    All of them in the mode of the native widths; several folds again in each other mode, or, of those that are chosen by
    numbers of digits, so that each number occurs.
    """
    rng = np.random.default_rng(seed)
    first, *others = driven_modes(design)
    whole, partial, several = (_sizes(design, first, share) for share in (1.0, 0.5, 2.5))
    cases = [case_of("a whole fold", design, [random_block(design, rng, whole, mode=first)]),
             case_of("a partial fold", design, [random_block(design, rng, partial, mode=first)]),
             case_of("several folds", design, [random_block(design, rng, several, mode=first)]),
             case_of("ends of the ranges", design, [random_block(design, rng, several, "extreme", mode=first)])]
    if design.halves == 2:
        one = random_block(design, rng, whole, mode=first)
        cases.append(case_of("two blocks", design, [one, followed_by(design, rng, one, whole)]))
    for mode in others:
        sizes = _sizes(design, mode, 1.5)
        cases.append(case_of(f"weights of {mode.weight_bits}, inputs of {mode.input_bits} bits", design,
                             [random_block(design, rng, sizes, "extreme" if rng.integers(2) else "uniform", mode=mode)]))
    return cases


def driven_modes(design: GridDesign) -> list[Mode]:
    """The modes that a testbench drives, the one of the native widths first."""
    arithmetic = design.arithmetic
    if not arithmetic.mode_ports or arithmetic.has_mode:
        native = design.grid.precision.native_bits
        return sorted(arithmetic.modes, key=lambda mode: (mode.weight_bits, mode.input_bits) != native)
    sides = [sorted({(mode.weight_bits, mode.input_bits)[side] for mode in arithmetic.modes}) for side in range(2)]
    pairs = [(weights or sides[0][0], inputs or sides[1][0])
             for weights, inputs in zip_longest(*(reversed(side) for side in sides))]
    return [mode for pair in pairs for mode in arithmetic.modes if (mode.weight_bits, mode.input_bits) == pair]


def followed_by(design: GridDesign, rng: np.random.Generator, block: Block, sizes: tuple[GemmWork, BlockShape]) -> Block:
    """Another block of the same layer: with its mode, table, zero points and clamps."""
    other = random_block(design, rng, sizes, mode=block.mode, table=block.table or None)
    unit, leading = other.requantization, block.requantization
    if unit is not None and leading is not None:
        unit = replace(unit, zero_point=leading.zero_point, clamp_min=leading.clamp_min, clamp_max=leading.clamp_max)
    return replace(other, input_zero_point=block.input_zero_point, requantization=unit)


def _sizes(design: GridDesign, mode: Mode, share: float) -> tuple[GemmWork, BlockShape]:
    """A block with this share of the lanes on each side, fewer positions or channels where the accumulators are small."""
    grid = design.grid
    cost = StepCost(cycles=mode.cycles, reduction=Fraction(mode.pairs), channels=mode.channels)

    def of(lanes: int) -> int:
        return max(1, round((lanes if lanes > 1 else _STEPS) * share))

    positions, k, n = of(position_lanes(grid)), of(reduction_lanes(grid, cost)), of(channel_lanes(grid, cost))
    while True:
        sizes = work_of(mode, positions=positions, k=k, n=n)
        if entries_of(design, *sizes, mode) <= design.depth:
            return sizes
        positions, n = (-(-positions // 2), n) if positions >= n else (positions, -(-n // 2))
