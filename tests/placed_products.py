"""Where a grid multiplies each product, by the table of dataflows alone."""

from __future__ import annotations

from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.axis import Axis

DATAFLOWS = ("weight_stationary", "output_stationary", "input_stationary", "dot_product")


def gemm(*, groups, m, window, channels, n, sum_channels=0):
    return GemmWork(groups=groups, images=1, rows=Axis(m + window - 1, m, kernel=window), columns=Axis(1, 1),
                    channels=channels, n=n, has_channel_groups=True, weight_bits=8, input_bits=8, output_bits=8,
                    sum_channels=sum_channels)


def place_product(grid, *, pack, place, m, n, segment, depth):
    """(fold, place in the stream, row, column); places of groups that share a fold stand in front.

    `pack` and `place` are the fold's groups and the group in it, `segment` and `depth` the piece of K and the step in it.
    """
    if grid.dataflow == "output_stationary":
        key = (pack, m // (grid.rows * grid.pixels), n // grid.columns, segment)
        return key, depth, (m % (grid.rows * grid.pixels)) // grid.pixels, n % grid.columns
    if grid.dataflow == "input_stationary":
        lanes = grid.columns * grid.pixels
        key = (pack, m // lanes, segment, depth // grid.rows)
        return key, (place, n), (place, depth % grid.rows), (m % lanes) // grid.pixels
    lanes = grid.columns if grid.dataflow == "dot_product" else grid.rows
    outs = grid.rows if grid.dataflow == "dot_product" else grid.columns
    key = (pack, n // outs, segment, depth // lanes)
    row, column = (place, depth % lanes), (place, n % outs)
    return (key, m // grid.pixels, column, row) if grid.dataflow == "dot_product" else (key, m // grid.pixels, row, column)
