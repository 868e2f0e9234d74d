"""Grids that follow from what an operator can give, and not from data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from accelsim.numerics.qparams import QParams
from accelsim.quantization.scheme import Scheme


@dataclass(frozen=True, slots=True)
class FixedGrid:
    """A grid for numbers in a range that is known.

    Parameters
    ----------
    kind : "share" for 0..1 (softmax, sigmoid), "unit" for -1..1 (tanh, L2 normalization), "range" for any other.
    low, high : of a range.

    Examples
    --------
    >>> FixedGrid("share").qparams(Scheme(8, is_signed=True)).zero_point.item()
    -128
    >>> FixedGrid("unit").qparams(Scheme(8)).scale.item()
    0.0078125
    """

    kind: Literal["share", "unit", "range"]
    low: float = 0.0
    high: float = 1.0

    def qparams(self, scheme: Scheme) -> QParams:
        """The grid under a scheme.

        A share has steps of 1/2^b from the lowest integer up, so that 1 itself is one step beyond; where 0 must be 0 and the
        integers have a sign, steps of 1/2^(b-1). A unit has steps of 1/2^(b-1) with 0 in the middle.

        Source: TensorFlow Lite `tensorflow/lite/g3doc/performance/quantization_spec.md`, for 8 bits.

        Raises
        ------
        NumericsError : an unsigned scheme for numbers below 0.
        """
        qtype, bits = scheme.qtype, scheme.bits
        if self.kind == "share" and scheme.symmetry != "symmetric":
            return QParams(scale=2.0 ** -bits, zero_point=qtype.min, qtype=qtype)
        if self.kind == "share":
            return QParams(scale=2.0 ** (1 - bits), zero_point=0, qtype=qtype)
        if self.kind == "unit" and scheme.symmetry != "unsigned":
            middle = 0 if qtype.is_signed else 1 << (bits - 1)
            return QParams(scale=2.0 ** (1 - bits), zero_point=middle, qtype=qtype)
        low, high = (-1.0, 1.0) if self.kind == "unit" else (self.low, self.high)
        return scheme.qparams(np.float64(low), np.float64(high))
