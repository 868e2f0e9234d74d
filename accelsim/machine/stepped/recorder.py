"""Who wants to see the registers in every clock: a waveform, an animation, a test.

What the registers are called, and their shapes: R rows, C columns; P output positions and N channels that a PE works on at
once (pixels, and what its precision kind composes: usually 1), so that it makes ``S = P * N`` sums; Q pairs of operands of
one sum that it takes in a step (usually 1).

=============  ==========================  ================================================================================
name           shape                       what it shows in this clock
=============  ==========================  ================================================================================
streamed       (P or 1, N or 1, Q, R, C)   operand at each PE's multiplier; dot_product (P, 1, Q, C)
token          (R, C)                      number of that operand from 1 on, 0 or less for none; dot_product (1, 1)
stationary     (P or 1, N or 1, Q, R, C)   what each PE multiplies it with; not output stationary
streamed_down  (1, N, Q, R, C)             the same of output stationary: the weight on its way down
shadow         (P or 1, N or 1, Q, R, C)   what is loaded for the next fold, as it will be in the next clock; output
                                           stationary (S, R, C): the sum that the next fold starts from
loading        as shadow                   what passes each PE on its way to the shadow registers
loading_row    (R, C)                      row (or column) that it is meant for, from 1 on, 0 for none
sum            (S, R, C)                   what each PE's adder gives: the wire to the PE below, or the PE's own accumulator;
                                           dot_product (S, R): what the adder trees give
draining       (S, R, C)                   output stationary: results on their way out, as they will be in the next clock
accumulators   (1 + outputs,)              the memory at the edge after this clock: outputs (G, M, N) of the step from entry
                                           1 on; entry 0 is nobody's
=============  ==========================  ================================================================================

With tokens, ``Fold.streamed`` and the order of the folds, an operand tells its fold and step. All are int64, or Python
integers where registers are wider than 62 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray


class ClockRecorder(Protocol):
    """Called in every clock.

    The arrays are the registers themselves, in the same dictionary and at the same place in memory in every clock: whoever
    keeps them copies them, and nobody writes to them.
    """

    def clock(self, cycle: int, registers: Mapping[str, NDArray[Any]]) -> None:
        """All registers at the end of the clock `cycle`; clocks count from 0 for each step (`StepRun.origin`)."""
