"""What a layer did only because of how it is quantized."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QuantizationCounts:
    """Events that symmetric weights with one scale a channel would not have caused; all 0 for a layer without a grid.

    Parameters
    ----------
    sum_macs : MACs of channels of ones, which give the sums of the inputs that asymmetric weights need; part of
        `Counts.macs`.
    row_sum_additions : additions in the row-sum unit, where the grid has one.
    corrected_sums : accumulators from which the requantizer subtracted z_w times such a sum, read for each of them.
    rescaled_sums : partial sums of scale groups that passed the requantizer before their output's last; part of
        `Counts.requantized_outputs`.
    codebook_reads : indices of weights that were decoded from a table on their way into the grid.
    """

    sum_macs: int = 0
    row_sum_additions: int = 0
    corrected_sums: int = 0
    rescaled_sums: int = 0
    codebook_reads: int = 0
