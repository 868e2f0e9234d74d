"""The cases of a written testbench: a few blocks that show what a grid does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.mapping.fold_plan import BlockShape, channel_lanes, position_lanes, reduction_lanes
from accelsim.mapping.lowering import GemmWork
from accelsim.rtl.cases import Block, Case, case_of
from accelsim.rtl.design import GridDesign
from accelsim.rtl.random_blocks import entries_of, random_block, work_of

#: Steps that a fold streams where they are not given by the grid's sides.
_STEPS = 12


def standard_cases(design: GridDesign, *, seed: int) -> list[Case]:
    """A whole fold, a partial one, several, overflowing ones and, where there are two halves, two blocks back to back."""
    rng = np.random.default_rng(seed)
    whole, partial, several = (_sizes(design, share) for share in (1.0, 0.5, 2.5))
    cases = [case_of("a whole fold", design, [random_block(design, rng, whole)]),
             case_of("a partial fold", design, [random_block(design, rng, partial)]),
             case_of("several folds", design, [random_block(design, rng, several)]),
             case_of("ends of the ranges", design, [random_block(design, rng, several, "extreme")])]
    if design.halves == 2:
        blocks = [random_block(design, rng, whole) for _ in range(2)]
        cases.append(case_of("two blocks", design, [blocks[0], of_one_layer(blocks[1], blocks[0])]))
    return cases


def of_one_layer(block: Block, other: Block) -> Block:
    """The block with the zero points and clamps of another."""
    unit, leading = block.requantization, other.requantization
    if unit is not None and leading is not None:
        unit = replace(unit, zero_point=leading.zero_point, clamp_min=leading.clamp_min, clamp_max=leading.clamp_max)
    return replace(block, input_zero_point=other.input_zero_point, requantization=unit)


def _sizes(design: GridDesign, share: float) -> tuple[GemmWork, BlockShape]:
    """A block with this share of the lanes on each side, fewer positions or channels where the accumulators are small."""
    grid = design.grid

    def of(lanes: int) -> int:
        return max(1, round((lanes if lanes > 1 else _STEPS) * share))

    positions, k, n = of(position_lanes(grid)), of(reduction_lanes(grid)), of(channel_lanes(grid))
    while True:
        sizes = work_of(positions=positions, k=k, n=n)
        if entries_of(design, *sizes) <= design.depth:
            return sizes
        positions, n = (-(-positions // 2), n) if positions >= n else (positions, -(-n // 2))
