"""Several scales a channel: runs of K whose sums are rescaled to one unit before they are added.

With s_g the scale of run g of a channel and P_g the exact sum of its products, the accumulator's unit is that of the largest
scale, ``u = s_x max_g s_g``, and

    y = requantize(b + sum_g R_g(P_g)),   R_g(P) = rounding of P * s_g / max_g s_g

both by the same rule (`accelsim.numerics.scheme`); the bias is in units of u. What is lost against real sums is at most half
a unit a run (one unit under `shift_floor`), and the bits that the rule has for a ratio. The run with the largest scale is
added as it is wherever the rule has 1 exactly.

Left out: ratios that are small integers, as in VS-Quant (Dai et al. 2021, arXiv 2102.04503), whose sums need no rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.requantization import Requantization
from accelsim.numerics.rule import Rule


def unit_scale(weight: QParams) -> NDArray[np.float64]:
    """The scale that a channel's sums end up with: its own, or the largest of its runs'.

    >>> nibble = QType(4, True)
    >>> unit_scale(QParams(scale=[[0.5, 0.25], [1.0, 2.0]], zero_point=0, qtype=nibble, axis=1, group_size=8)).tolist()
    [0.5, 2.0]
    """
    return weight.scale if weight.group_size is None else np.asarray(weight.scale.max(axis=1))


@dataclass(frozen=True, eq=False)
class ScaleGroups:
    """The runs of a layer's K.

    Parameters
    ----------
    length : of a run; the last one may be shorter.
    ratios : ``s_g / max_g s_g``, (channels, runs).

    Examples
    --------
    >>> weight = QParams(scale=[[0.5, 0.25]], zero_point=0, qtype=QType(4, True), axis=1, group_size=2)
    >>> groups = ScaleGroups.of(weight)
    >>> [unit.requantize([[5]]).tolist() for unit in groups.units(Rule("dyadic"))]  # 2.5 to even
    [[[5]], [[2]]]
    """

    length: int
    ratios: NDArray[np.float64]

    @classmethod
    def of(cls, weight: QParams) -> ScaleGroups:
        """The runs of weights (channels, K) with blocks of K.

        Raises
        ------
        NumericsError : zero points other than 0.
        """
        assert weight.group_size is not None
        if weight.zero_point.any():
            raise NumericsError("expected zero point 0 for weights with several scales a channel, got "
                                f"{int(weight.zero_point[weight.zero_point != 0].flat[0])}", field="zero_point")
        return cls(weight.group_size, weight.scale / unit_scale(weight)[:, None])

    @property
    def count(self) -> int:
        """Runs."""
        return int(self.ratios.shape[1])

    def ranges(self, steps: int) -> Iterator[tuple[int, int]]:
        """Where the runs of so many reduction steps lie."""
        return ((first, min(first + self.length, steps)) for first in range(0, steps, self.length))

    def units(self, rule: Rule) -> tuple[Requantization, ...]:
        """What rescales the sums of each run, into integers of 32 bits.

        Raises
        ------
        NumericsError : a ratio that the rule cannot encode.
        """
        return tuple(rule.requantization(self.ratios[:, run], zero_point=0, qtype=QType(32, True))
                     for run in range(self.count))
