"""What a layer would have given with narrower accumulators."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WidthTrial:
    """One layer, fed right inputs, with accumulators (and wires between PEs) of another width.

    Parameters
    ----------
    bits : the width.
    outputs : of the layer, over all samples.
    events : partial sums that left the range.
    outputs_hit : outputs with at least one event.
    wrong_outputs : outputs that differ from those of accumulators that are wide enough.
    largest_error : by how much at most, in units of the last place (LSB) of the output.
    """

    bits: int
    outputs: int = 0
    events: int = 0
    outputs_hit: int = 0
    wrong_outputs: int = 0
    largest_error: int = 0

    def joined(self, other: WidthTrial) -> WidthTrial:
        """With further outputs of the same layer at the same width."""
        return WidthTrial(self.bits, self.outputs + other.outputs, self.events + other.events,
                          self.outputs_hit + other.outputs_hit, self.wrong_outputs + other.wrong_outputs,
                          max(self.largest_error, other.largest_error))
