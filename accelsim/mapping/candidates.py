"""All tilings of a layer that the mapper considers, as columns of numbers, so that they can be scored at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from accelsim.hardware.pe_grid import PeGrid
from accelsim.mapping.fold_plan import channel_lanes, groups_per_fold, position_lanes, reduction_lanes, step_cost
from accelsim.mapping.lowering import GemmWork
from accelsim.mapping.tiling import LoopOrder, Scope, Tiling
from accelsim.numerics.axis import Axis

Column = npt.NDArray[np.int64]

#: A dimension is cut into so many parts at most; sizes between would differ by less than a few percent.
_PARTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096)

#: (loop order, weight scope, input scope) that differ in what is loaded how often.
_SCHEDULES: tuple[tuple[LoopOrder, Scope, Scope], ...] = (
    ("inputs_outer", "slice", "block"),
    ("inputs_outer", "layer", "block"),
    ("inputs_outer", "slice", "slice"),
    ("inputs_outer", "layer", "slice"),
    ("weights_outer", "block", "block"),
    ("weights_outer", "block", "slice"),
    ("weights_outer", "block", "layer"),
    ("weights_outer", "slice", "slice"),
)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Tilings as columns of equal length; `schedule` indexes the loop orders and scopes."""

    groups: Column
    images: Column
    rows: Column
    columns: Column
    n: Column
    k: Column
    schedule: Column

    def __len__(self) -> int:
        return int(self.groups.size)

    def take(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Candidates:
        return Candidates(self.groups[chosen], self.images[chosen], self.rows[chosen], self.columns[chosen],
                          self.n[chosen], self.k[chosen], self.schedule[chosen])

    def has_scope(self, operand: str, scope: Scope) -> npt.NDArray[np.bool_]:
        """Which rows keep this operand ("weights" or "inputs") for this scope."""
        column = 1 if operand == "weights" else 2
        return np.array([schedule[column] == scope for schedule in _SCHEDULES])[self.schedule]

    def is_rectangle(self, work: GemmWork) -> npt.NDArray[np.bool_]:
        """Which rows cut positions into parts of several rows of an image."""
        return (self.rows > 1) & (self.columns < work.columns.out_size)

    @property
    def is_weights_outer(self) -> npt.NDArray[np.bool_]:
        return np.array([schedule[0] == "weights_outer" for schedule in _SCHEDULES])[self.schedule]

    def tiles(self, index: int) -> tuple[int, int, int, int, int, int]:
        """(groups, images, rows, columns, n, k) of one row."""
        return (int(self.groups[index]), int(self.images[index]), int(self.rows[index]), int(self.columns[index]),
                int(self.n[index]), int(self.k[index]))

    def tiling(self, index: int, *, store_lag: int = 0) -> Tiling:
        """One row as a `Tiling`."""
        order, weight_scope, input_scope = _SCHEDULES[int(self.schedule[index])]
        return Tiling(*self.tiles(index), order=order, weight_scope=weight_scope, input_scope=input_scope,
                      store_lag=store_lag)


def cuts(size: int, unit: int) -> list[int]:
    """Piece sizes, largest first: `size` in balanced parts, each a multiple of `unit` (or all of it).

    >>> cuts(100, 16)
    [100, 64, 48, 32, 16]
    >>> cuts(3, 16)
    [3]
    """
    units = -(-size // unit)
    found = {min(size, -(-units // parts) * unit) for parts in (*_PARTS, units) if parts <= units}
    return sorted(found, reverse=True)


def _position_cuts(work: GemmWork, grid: PeGrid) -> list[tuple[int, int, int]]:
    """(images, rows, columns) of position blocks: whole images, rows of one image, a part of one row, or rectangles."""
    rows, columns = work.rows.out_size, work.columns.out_size
    found = [(images, rows, columns) for images in cuts(work.images, 1)]
    found += [(1, r, columns) for r in cuts(rows, 1) if r < rows]
    found += [(1, 1, q) for q in cuts(columns, 1) if q < columns]
    found += [(1, r, q) for r, q in rectangles(work, position_lanes(grid))]
    return found


def rectangles(work: GemmWork, lanes: int) -> list[tuple[int, int]]:
    """(rows, columns) of blocks of an image that fill the position lanes where a row of the image does not.

    The smallest is the rectangle of `lanes` positions (less, in an image of fewer rows) that the image needs fewest of; of
    several such the one that sees the fewest inputs. The others are 2 x 1, 2 x 2, 4 x 2, 4 x 4, ... of it, as long as they
    are narrower than the image.

    >>> axes = {"rows": Axis(14, 12, kernel=3), "columns": Axis(14, 12, kernel=3)}
    >>> work = GemmWork(groups=1, images=1, **axes, channels=64, n=64, has_channel_groups=True, weight_bits=8, input_bits=8,
    ...                 output_bits=8)
    >>> rectangles(work, 9), rectangles(work, 12)
    ([(3, 3), (6, 3), (6, 6), (12, 6)], [])
    """
    rows, columns = work.rows.out_size, work.columns.out_size
    if min(lanes, rows, columns) == 1 or columns % lanes == 0:
        return []
    shapes = [(min(rows, lanes // q), q) for q in range(1, min(lanes // 2, columns - 1) + 1) if lanes % q == 0]

    def badness(shape: tuple[int, int]) -> tuple[int, int]:
        r, q = shape
        return -(-rows // r) * -(-columns // q), _span(work.rows, r) * _span(work.columns, q)

    r, q = min(shapes, key=badness)
    found = []
    while r <= rows and q < columns:
        found.append((r, q))
        r, q = (2 * r, q) if len(found) % 2 else (r, 2 * q)
    return found


def _span(axis: Axis, outputs: int) -> int:
    """Inputs between the first and the last that so many outputs see."""
    return (outputs - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1


def candidates(work: GemmWork, grid: PeGrid, *, is_fine: bool = False) -> Candidates:
    """Every combination of position, channel, reduction and group cuts with every schedule.

    Channels and K are cut at full folds; `is_fine` cuts them, and groups, anywhere, for buffers that hold no full fold.
    Sums of inputs wait in the accumulators for the channel blocks of their positions: these then follow one another, so that
    no candidate takes all positions through one of several channel blocks first.
    """
    tiles = np.array(_tiles(work, grid, is_fine), dtype=np.int64)
    schedules = np.arange(len(_SCHEDULES))
    rows = np.repeat(tiles, schedules.size, axis=0)
    groups, images, out_rows, columns, n, k = rows.T
    found = Candidates(groups, images, out_rows, columns, n, k, np.tile(schedules, len(tiles)))
    if work.sum_channels == 0:
        return found
    is_cut_twice = (found.n < work.n) & (found.images * found.rows * found.columns < work.m)
    return found.take(~(found.is_weights_outer & is_cut_twice))


@lru_cache(maxsize=256)
def _tiles(work: GemmWork, grid: PeGrid, is_fine: bool) -> list[tuple[int, ...]]:
    positions = _position_cuts(work, grid)
    channels = cuts(work.n, 1 if is_fine else channel_lanes(grid, step_cost(grid, work)))
    depths = _depth_cuts(work, 1 if is_fine else _depth_unit(work, grid))
    found: list[tuple[int, ...]] = [(1, *m, n, k) for m, n, k in product(positions, channels, depths)]
    if work.groups > 1:
        packs = cuts(work.groups, 1 if is_fine else groups_per_fold(work, grid))
        found += [(g, *m, work.n, work.k) for g, m in product(packs, positions) if g > 1]
    return found


def _depth_cuts(work: GemmWork, unit: int) -> list[int]:
    """Whole scale groups, or parts of one."""
    length = work.scale_group_length
    if length == work.k:
        return cuts(work.k, unit)
    return cuts(work.k, length) + [part for part in cuts(length, unit) if part < length]


def _depth_unit(work: GemmWork, grid: PeGrid) -> int:
    """K is cut where folds end anyway: at full grids, or at kernel positions where folds end with them."""
    lanes = reduction_lanes(grid, step_cost(grid, work))
    if grid.reduction == "channels" and work.window > 1:
        return work.channels
    return min(max(lanes, 8), work.k)
