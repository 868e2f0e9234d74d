"""Which bytes of a tensor a tile touches, and in how many contiguous runs they lie in DRAM.

Layout in DRAM: activations channel-fastest (NHWC; matrices row by row), packed; constant weights already cut into the
tiles of the mapping, so that each is one run. Both are what compilers for such accelerators choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.axis import Axis


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of a tile and the contiguous runs that they form.

    >>> Footprint(runs=4, run_bytes=100).bus_bytes(burst_bytes=64)
    512
    """

    runs: int
    run_bytes: int

    @property
    def bytes(self) -> int:
        return self.runs * self.run_bytes

    def bus_bytes(self, *, burst_bytes: int) -> int:
        """Bytes with every run rounded up to whole bursts."""
        return self.runs * (-(-self.run_bytes // burst_bytes) * burst_bytes)

    def requests(self, *, burst_bytes: int) -> int:
        """Bursts that a DMA must ask for."""
        return self.runs * -(-self.run_bytes // burst_bytes)


@lru_cache(maxsize=65536)
def axis_extent(axis: Axis, first: int, last: int, first_tap: int, last_tap: int) -> tuple[int, bool]:
    """Distinct real inputs that outputs [first, last) read through taps [first_tap, last_tap), and whether they are
    neighbours.

    Padding and the zeros of a stretched axis are not read from memory. At least 1, so that a tile that sees
    only padding still names an address.

    Examples
    --------
    >>> axis_extent(Axis(in_size=224, out_size=112, kernel=7, stride=2, pad=3), 0, 4, 0, 7)
    (10, True)
    >>> axis_extent(Axis(in_size=56, out_size=28, stride=2), 0, 4, 0, 1)  # 1x1 kernel: every other row
    (4, False)
    """
    outputs = np.arange(first, last)[:, None] * axis.stride
    taps = np.arange(first_tap, last_tap)[None, :] * axis.dilation - axis.pad
    positions = np.unique(outputs + taps)
    positions = positions[positions % axis.upsampling == 0] // axis.upsampling
    positions = positions[(positions >= 0) & (positions < axis.in_size)]
    if positions.size == 0:
        return 1, True
    count = int(positions.size)
    return count, int(positions[-1] - positions[0]) + 1 == count


def _bytes(elements: int, bits: int) -> int:
    return -(-elements * bits // 8)


@dataclass(frozen=True, slots=True)
class Positions:
    """A block of output positions: [first, last) ranges of images, rows and columns, which are cut only inside one image."""

    images: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def count(self) -> int:
        (i0, i1), (p0, p1), (q0, q1) = self.images, self.rows, self.columns
        return (i1 - i0) * (p1 - p0) * (q1 - q0)

    def runs(self, work: GemmWork) -> int:
        """Runs of neighbouring positions: one, or each row of a rectangle that is narrower than the image."""
        is_whole = self.columns[1] - self.columns[0] == work.columns.out_size
        return 1 if is_whole else (self.images[1] - self.images[0]) * (self.rows[1] - self.rows[0])


def input_footprint(work: GemmWork, positions: Positions, *, groups: int, k_first: int, k_last: int) -> Footprint:
    """The streamed operand of a tile: these positions (with halo), `groups` groups, reduction steps [k_first, k_last)."""
    channels = work.channels
    first_position, last_position = k_first // channels, -(-k_last // channels)
    tile_channels = k_last - k_first if last_position - first_position == 1 else channels
    first_tap_row, last_tap_row = first_position // work.columns.kernel, -(-last_position // work.columns.kernel)
    if last_tap_row - first_tap_row == 1:
        taps = (first_position % work.columns.kernel, (last_position - 1) % work.columns.kernel + 1)
    else:
        taps = (0, work.columns.kernel)
    rows, rows_touch = axis_extent(work.rows, *positions.rows, first_tap_row, last_tap_row)
    columns, columns_touch = axis_extent(work.columns, *positions.columns, *taps)
    images = positions.images[1] - positions.images[0]

    if not work.has_channel_groups:  # one matrix per group, rows of k elements
        if tile_channels == channels:
            return Footprint(groups, _bytes(rows * channels, work.input_bits))
        return Footprint(groups * rows, _bytes(tile_channels, work.input_bits))
    if tile_channels * groups < channels * work.groups or not columns_touch:
        return Footprint(images * rows * columns, _bytes(tile_channels * groups, work.input_bits))
    pixel = channels * groups
    if columns < work.columns.in_size or not rows_touch:
        return Footprint(images * rows, _bytes(columns * pixel, work.input_bits))
    if rows < work.rows.in_size:
        return Footprint(images, _bytes(rows * columns * pixel, work.input_bits))
    return Footprint(1, _bytes(images * rows * columns * pixel, work.input_bits))


def weight_footprint(work: GemmWork, *, groups: int, n: int, k: int, has_bias: bool, is_activation: bool) -> Footprint:
    """The weights of a tile, with the bias of its channels where the tile begins the reduction."""
    if is_activation:  # k rows of n elements of a matrix that another layer wrote
        if n == work.n:
            return Footprint(groups, _bytes(k * n, work.weight_bits))
        return Footprint(groups * k, _bytes(n, work.weight_bits))
    bias = _bytes(groups * n, work.bias_bits) if has_bias else 0
    return Footprint(1, _bytes(groups * n * k, work.weight_bits) + bias)


def output_footprint(work: GemmWork, *, positions: int, groups: int, n: int, runs: int = 1) -> Footprint:
    """The outputs of a block: `positions` rows of channels, in `runs` equal runs of neighbouring positions."""
    if not work.has_channel_groups:
        if n == work.n:
            return Footprint(groups, _bytes(positions * n, work.output_bits))
        return Footprint(groups * positions, _bytes(n, work.output_bits))
    if groups * n == work.groups * work.n:
        return Footprint(runs, _bytes(positions // runs * groups * n, work.output_bits))
    return Footprint(positions, _bytes(groups * n, work.output_bits))
