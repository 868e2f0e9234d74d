"""Uniform quantization schemes: from a range of real values to scale and zero point.

============  =======  ==========================================  ===================================  ==================
symmetry      type     scale s of a range low..high                zero point                           source
============  =======  ==========================================  ===================================  ==================
asymmetric    uint     (high - low) / (2^b - 1)                    round(-low / s) + type's minimum     survey eq. 4
symmetric     int      2 max(|low|, |high|) / (2^b - 1)            0                                    survey III-C, full
  restricted  int      max(|low|, |high|) / (2^(b-1) - 1)          0                                    III-C, restricted
unsigned      uint     high / (2^b - 1)                            0                                    white paper eq. 8b
============  =======  ==========================================  ===================================  ==================

Before that the range is stretched to hold 0, so that 0 is an integer and padding and ReLU are exact (white paper 2.2).
Values are rounded to nearest (`QParams.quantize`), which makes the full symmetric range lose at most half a step at both
ends: its ends stand at +-(2^b - 1) / 2 steps. The zero point of an asymmetric range is rounded too, so that an end may lie
up to half a step outside the grid.

*Scales are float32*, because ONNX and TFLite store them so: rounded to nearest, the zero point from the unrounded one, as
onnxruntime does. *Scales are never 0*: a unit whose values are all zero, or whose scale would fall below the smallest normal
float32, takes the smallest scale of the other units, or 1 where it is alone. Such a channel's bias, at scale s_x s_w, thus
keeps the resolution of its neighbours. *Power-of-two scales* (white paper 2.2.2) are rounded up, so that the range is not
clipped; to the nearest exponent would clip up to 30 % of it. `mse` and `omse`, which know what clipping costs, choose the
exponent of least error themselves, and return a range that has exactly that scale.

References
----------
Nagel et al., "A White Paper on Neural Network Quantization", arXiv 2106.08295, 2.2; Gholami et al., "A Survey of
Quantization Methods for Efficient Neural Network Inference", arXiv 2103.13630, III-B to III-E.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.problem import wrong_choice
from accelsim.quantization.granularity import Granularity

Symmetry = Literal["asymmetric", "symmetric", "unsigned"]

#: Scales lie between the smallest normal and the largest finite float32 (IEEE 754 binary32).
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
LARGEST_SCALE = float(np.finfo(np.float32).max)
MOST_BITS = 16


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a tensor is quantized, but for the range itself.

    Parameters
    ----------
    bits : 1 to 16; 1 bit holds a zero and one other value, and so is for unsigned schemes only.
    symmetry : "asymmetric" has a zero point; "symmetric" has signed integers, "unsigned" those from 0 up, for values that
        are never negative (behind a ReLU).
    is_restricted : leave out the most negative integer, -2^(b-1); symmetric schemes only.
    has_power_of_two_scale : every scale is 2^k, so that rescaling is a shift.
    granularity : the values that share a scale.
    is_dynamic : the range is that of each tensor as it comes (survey III-D), found at run time and not by calibration.
    is_signed : asymmetric schemes only: integers from -2^(b-1) up, TFLite's int8 activations; the grid is the same.

    Raises
    ------
    NumericsError : widths that the symmetry cannot have; a restricted range that is not symmetric; signed integers of
        another scheme than an asymmetric one.

    Examples
    --------
    >>> grid = Scheme(8, "asymmetric").qparams(-1.0, 3.0)
    >>> round(grid.scale.item(), 6), grid.zero_point.item(), grid.qtype.name
    (0.015686, 64, 'uint8')
    >>> Scheme(4, "symmetric", is_restricted=True).qparams(-0.5, 1.75).scale.item()
    0.25
    """

    bits: int
    symmetry: Symmetry = "asymmetric"
    is_restricted: bool = False
    has_power_of_two_scale: bool = False
    granularity: Granularity = dataclasses.field(default_factory=Granularity)
    is_dynamic: bool = False
    is_signed: bool | None = None

    def __post_init__(self) -> None:
        if self.symmetry not in get_args(Symmetry):
            raise NumericsError(wrong_choice(self.symmetry, get_args(Symmetry)), field="symmetry")
        if isinstance(self.bits, bool) or not isinstance(self.bits, int) or not 1 <= self.bits <= MOST_BITS:
            raise NumericsError(f"expected a width of 1 to {MOST_BITS} bits, got {self.bits!r}", field="bits")
        if self.bits == 1 and self.symmetry != "unsigned":
            raise NumericsError(f"expected at least 2 bits unless the scheme is unsigned, got 1 bit, {self.symmetry}",
                                field="bits")
        if self.is_restricted and self.symmetry != "symmetric":
            raise NumericsError(f"expected a symmetric scheme for a restricted range, got {self.symmetry}",
                                field="is_restricted")
        if self.is_signed is not None and self.symmetry != "asymmetric":
            raise NumericsError(f"expected an asymmetric scheme to choose the sign of, got {self.symmetry}",
                                field="is_signed")

    @property
    def qtype(self) -> QType:
        """The integers' type."""
        return QType(self.bits, self.symmetry == "symmetric" or bool(self.is_signed), self.is_restricted)

    @property
    def steps(self) -> int:
        """Steps from the lowest integer to the highest: 2^b - 1, or 2^b - 2 restricted."""
        return self.qtype.max - self.qtype.min

    @property
    def is_asymmetric(self) -> bool:
        """Whether there is a zero point to choose."""
        return self.symmetry == "asymmetric"

    def qparams(self, low: ArrayLike, high: ArrayLike) -> QParams:
        """The grid of a range.

        Parameters
        ----------
        low, high : real numbers, one a unit, in the shape of the scales (`Granularity.scales_shape`); `low` <= `high`.

        Raises
        ------
        NumericsError : NaN, infinities, `low` above `high`, shapes that differ or do not fit the granularity; negative
            ranges of an unsigned scheme; a range that needs a scale beyond float32.
        """
        below, above = self._checked_range(low, high)
        scale = self.covering_scale(below, above)
        if np.any(scale > LARGEST_SCALE):
            raise NumericsError(f"expected ranges with float32 scales, got {below.min():g}..{above.max():g}", field="range")
        is_flat = scale < SMALLEST_SCALE
        neighbour = scale[~is_flat].min(initial=np.inf)
        scale = np.where(is_flat, neighbour if np.isfinite(neighbour) else 1.0, scale)
        points = np.zeros(scale.shape, dtype=np.int64)
        if self.is_asymmetric:
            exact = np.rint(self.qtype.min - np.minimum(below, 0.0) / scale)
            points = np.where(is_flat, 0, np.clip(exact, self.qtype.min, self.qtype.max)).astype(np.int64)
        return QParams(scale=scale.astype(np.float32), zero_point=points, qtype=self.qtype, axis=self.granularity.axis,
                       group_size=self.granularity.group_size)

    def qparams_of(self, values: NDArray[Any]) -> QParams:
        """The grid of the values' own extremes: what a dynamic quantizer computes at run time.

        For 8 bits, asymmetric and per tensor this is ONNX's DynamicQuantizeLinear, but for the last bit of the scale, which
        that operator divides in float32.

        >>> Scheme(8, is_dynamic=True).qparams_of(np.array([-1.0, 0.5, 1.55])).scale.item()
        0.009999999776482582
        """
        rows = self.granularity.rows(np.asarray(values))
        low, high = (self.granularity.joined(parts, np.shape(values))
                     for parts in ([part.min(axis=1) for part in rows], [part.max(axis=1) for part in rows]))
        return self.qparams(low, high)

    def covering_scale(self, low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.float64]:
        """The scale of a range by the formulas above, before it is rounded to float32; 0 for a range of nothing but 0.

        >>> Scheme(3, "symmetric", has_power_of_two_scale=True).covering_scale(np.array(-8.0), np.array(2.0)).item()
        4.0
        """
        below, above = np.minimum(low, 0.0).astype(np.float64), np.maximum(high, 0.0).astype(np.float64)
        if self.symmetry == "unsigned" and below.min() < 0:
            raise NumericsError(f"expected no values below 0 for an unsigned scheme, got {below.min():g}", field="range")
        with np.errstate(over="ignore"):
            width = {"asymmetric": above - below, "symmetric": 2 * np.maximum(-below, above),
                     "unsigned": above}[self.symmetry]
        scale = np.asarray(width / self.steps)
        return _power_of_two_at_least(scale) if self.has_power_of_two_scale else scale

    def range_at(self, scale: NDArray[np.float64], lowest: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The range whose grid has exactly this scale, and begins `lowest` steps from 0.

        Parameters
        ----------
        scale : float32 numbers (as float64).
        lowest : integers, -steps..0, the zero point's distance from the type's minimum, negated; asymmetric schemes only,
            the others ignore it.

        >>> scheme = Scheme(4)
        >>> low, high = scheme.range_at(np.array(0.5), np.array(-3))
        >>> low.item(), high.item(), scheme.qparams(low, high).zero_point.item()
        (-1.5, 6.0, 3)
        """
        steps = float(self.steps)
        if self.is_asymmetric:
            return scale * lowest, scale * (lowest + steps)
        half = 2.0 if self.symmetry == "symmetric" else 1.0
        return (-scale * steps / half if self.symmetry == "symmetric" else np.zeros_like(scale)), scale * steps / half

    def _checked_range(self, low: ArrayLike, high: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        below, above = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        if below.shape != above.shape:
            raise NumericsError(f"expected as many low ends as high ends, got {below.shape} and {above.shape}",
                                field="range")
        dimensions = {"tensor": below.ndim == 0, "sub_channel": below.ndim > 0}.get(self.granularity.kind, below.ndim == 1)
        if not dimensions or below.size == 0:
            raise NumericsError(f"expected a range for each {self.granularity.kind}, got shape {below.shape}", field="range")
        for problem, wrong in (("finite ends", ~(np.isfinite(below) & np.isfinite(above))),
                               ("the low end first", below > above)):
            if np.any(wrong):
                raise NumericsError(f"expected {problem}, got {below[wrong].flat[0]:g}..{above[wrong].flat[0]:g}",
                                    field="range")
        return below, above


def _power_of_two_at_least(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest power of two that is not below the scale; 0 stays 0."""
    fraction, exponent = np.frexp(scale)
    return np.asarray(np.where(np.isfinite(scale) & (scale > 0), np.ldexp(1.0, exponent - (fraction == 0.5)), scale))
