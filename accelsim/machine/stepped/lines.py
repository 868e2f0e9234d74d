"""Registers in a row: operands that march past the PEs, and values that wait a number of clocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike, NDArray


class Lines:
    """Shift registers side by side, one a lane, that move by one register a clock.

    All lanes are fed in the same clock; lane l's first ``l * skew`` registers are its skew, and its taps follow ``hop``
    registers apart. So tap h of lane l shows what was fed ``l * skew + h * hop + lead`` clocks ago.

    Parameters
    ----------
    planes : values that travel together on a lane.
    lead : registers before the first tap of lane 0.

    Examples
    --------
    >>> lines = Lines(planes=1, lanes=2, skew=1, taps=2, hop=1)
    >>> for value in (1, 2, 3):
    ...     lines.clock(np.array([[value, 10 * value]]))
    >>> lines.taps[0].tolist()  # lane 0 shows the newest, lane 1 is one behind
    [[3, 2], [20, 10]]
    """

    def __init__(self, *, planes: int, lanes: int, skew: int, taps: int, hop: int, lead: int = 0,
                 dtype: DTypeLike = np.int64) -> None:
        self.length = (lanes - 1) * skew + (taps - 1) * hop + lead + 1
        self.registers: NDArray[Any] = np.zeros((planes, lanes, self.length), dtype)
        flat = self.registers.reshape(-1)
        self._later, self._earlier = flat[1:], flat[:-1]
        self._entry = self.registers[:, :, 0]
        plane, lane, one = self.registers.strides
        #: What the taps show, (planes, lanes, taps): a view.
        self.taps: NDArray[Any] = as_strided(self.registers[:, :, lead:], (planes, lanes, taps),
                                             (plane, lane + skew * one, hop * one), writeable=False)

    def clock(self, values: NDArray[Any] | int) -> None:
        """Move every register on, and feed (planes, lanes)."""
        # One move for all lanes: what leaves the end of one lands in the entry of the next, which is then overwritten.
        self._later[...] = self._earlier
        self._entry[...] = values


class Delay:
    """A value of any shape that comes out `stages` clocks after it went in; at least 1.

    Examples
    --------
    >>> delay = Delay(2, (1,))
    >>> for value in (1, 2, 3):
    ...     print(delay.out.tolist())
    ...     delay.clock(np.array([value]))
    [0]
    [0]
    [1]
    """

    def __init__(self, stages: int, shape: tuple[int, ...], dtype: DTypeLike = np.int64) -> None:
        self.registers: NDArray[Any] = np.zeros((stages, *shape), dtype)
        self._later, self._earlier = self.registers[1:], self.registers[:-1]
        self._entry = self.registers[0]
        self._is_long = stages > 1
        #: What comes out in this clock: a view.
        self.out: NDArray[Any] = self.registers[-1]

    def clock(self, values: NDArray[Any] | int) -> None:
        """Move on, and take in values."""
        if self._is_long:
            self._later[...] = self._earlier
        self._entry[...] = values
