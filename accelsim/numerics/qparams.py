"""What a tensor's integers mean: ``real = scale * (q - zero_point)``, always this sign.

===========  ===================  ===========================================  =================================
granularity  axis, group_size     shape of scale and zero_point                example: weights (64, 128)
===========  ===================  ===========================================  =================================
per tensor   None, None           ()                                           one scale
per channel  axis, None           (D,), D = the tensor's size along axis       axis 0: 64 scales
per group    axis, size B         the tensor's, ceil(D / B) along axis         axis 1, B = 32: (64, 4) scales
===========  ===================  ===========================================  =================================

References
----------
ONNX QuantizeLinear and DequantizeLinear, onnx/onnx@f7546912 `onnx/defs/quantization/defs.cc` (blocked: the same shapes);
TensorFlow Lite `tensorflow/lite/g3doc/performance/quantization_spec.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.float_rounding import round_float
from accelsim.numerics.integer_array import as_integers
from accelsim.numerics.qtype import QType
from accelsim.numerics.rounding import Rounding


@dataclass(frozen=True, eq=False)
class QParams:
    """Scale and zero point of a tensor, for the whole tensor, each channel or each group of a channel.

    Parameters
    ----------
    scale : float64, > 0, finite; shape as in the table above. Kept as a read-only array.
    zero_point : integers of the same shape (one integer stands for all), each within `qtype`.
    qtype : the integers' type.
    axis : the channels' dimension, or the one that is cut into groups; negative counts from the last.
    group_size : elements along `axis` that share a scale, at least 1.

    Raises
    ------
    NumericsError : a scale that is NaN, infinite, zero or negative; a zero point outside the type or of another shape;
        a list of scales without an axis; a group size without an axis.

    Examples
    --------
    >>> x = QParams(scale=0.5, zero_point=3, qtype=QType(8, True))
    >>> x.quantize([-1.0, 0.25, 0.75, 1e9]), x.dequantize([1, 3])  # ties to even, then the zero point, then saturation
    (array([  1,   3,   5, 127], dtype=int8), array([-1.,  0.]))
    >>> w = QParams(scale=[0.5, 2.0], zero_point=0, qtype=QType(4, True), axis=0)
    >>> w.quantize([[1.0, 2.0], [4.0, 80.0]]).tolist()
    [[2, 4], [2, 7]]
    >>> g = QParams(scale=[[1.0, 10.0]], zero_point=0, qtype=QType(8, True), axis=1, group_size=2)
    >>> g.dequantize([[1, 2, 3]]).tolist()
    [[1.0, 2.0, 30.0]]
    """

    scale: NDArray[np.float64]
    zero_point: NDArray[np.int64]
    qtype: QType
    axis: int | None
    group_size: int | None

    def __init__(self, *, scale: ArrayLike, zero_point: ArrayLike, qtype: QType, axis: int | None = None,
                 group_size: int | None = None) -> None:
        scales = as_scales(scale)
        points = as_integers(zero_point, "zero_point")
        _check_granularity(scales, axis, group_size)
        if points.ndim and points.shape != scales.shape:
            raise NumericsError(f"expected one zero point, or {scales.shape} like the scales, got {points.shape}",
                                field="zero_point")
        if not qtype.holds(points):
            wrong = next(int(point) for point in points.flat if not qtype.holds(int(point)))
            raise NumericsError(f"expected {qtype.range_text} ({qtype.name}), got {wrong}", field="zero_point")
        points = np.broadcast_to(points.astype(np.int64), scales.shape).copy()
        points.flags.writeable = False
        for name, value in (("scale", scales), ("zero_point", points), ("qtype", qtype), ("axis", axis),
                            ("group_size", group_size)):
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QParams) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return (self.scale.shape, self.scale.tobytes(), self.zero_point.tobytes(), self.qtype, self.axis, self.group_size)

    def quantize(self, values: ArrayLike, *, rounding: Rounding = "half_even",
                 generator: np.random.Generator | None = None) -> NDArray[Any]:
        """``q = saturate(round(x / scale) + zero_point)``: divided, rounded, shifted by the zero point, clamped; this order.

        Source: ONNX QuantizeLinear. ``round(x / scale + zero_point)`` is another function: on a tie with an odd zero
        point the two differ under half_even. The division is done in the type of x (float32 x by float32(scale)), which
        is ONNX's rule and not torch's ``x * (1 / scale)``.

        Parameters
        ----------
        values : real numbers; infinities saturate.
        rounding : the rule; half_even is ONNX's, half_away is TFLite's.
        generator : for "stochastic".

        Returns
        -------
        Array of the shape of `values`, dtype `qtype.dtype`.

        Raises
        ------
        NumericsError : NaN; a shape that the scales do not fit; a scale that vanishes or overflows in the type of x.
        """
        x = _as_floats(values)
        if np.any(np.isnan(x)):
            raise NumericsError("expected numbers, got NaN", field="values")
        scale, points = self._spread(self.scale, x.shape), self._spread(self.zero_point, x.shape)
        with np.errstate(over="ignore", under="ignore"):
            quotient = (x / _scale_in(scale, x.dtype)).astype(np.float64)
        # One beyond the range on both sides still saturates, and keeps infinities away from the rounding.
        inside = np.clip(quotient, self.qtype.min - points - 1, self.qtype.max - points + 1)
        return self.qtype.clamp(round_float(inside, rounding, generator=generator).astype(np.int64) + points)

    def dequantize(self, integers: ArrayLike, *, dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """``real = scale * (q - zero_point)``: the difference exact, then one product in `dtype`.

        Raises
        ------
        NumericsError : integers outside the type; a shape that the scales do not fit.
        """
        q = as_integers(integers)
        if not self.qtype.holds(q):
            raise NumericsError(f"expected {self.qtype.range_text} ({self.qtype.name}), got {q.min()}..{q.max()}",
                                field="integers")
        scale, points = self._spread(self.scale, q.shape), self._spread(self.zero_point, q.shape)
        kind = np.dtype(dtype)
        return np.asarray((q - points).astype(kind) * _scale_in(scale, kind), dtype=kind)

    def _spread(self, parameters: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """The parameters in a shape that broadcasts against a tensor of `shape`."""
        if self.axis is None:
            return parameters
        if not -len(shape) <= self.axis < len(shape):
            raise NumericsError(f"expected an axis of a tensor of shape {shape}, got {self.axis}", field="axis")
        axis = self.axis % len(shape)
        if self.group_size is None:
            expected: tuple[int, ...] = (shape[axis],)
        else:
            expected = (*shape[:axis], -(-shape[axis] // self.group_size), *shape[axis + 1:])
        if parameters.shape != expected:
            raise NumericsError(f"expected scales of shape {expected} for a tensor of shape {shape}, "
                                f"got {parameters.shape}", field="scale")
        if self.group_size is None:
            return parameters.reshape([-1 if dimension == axis else 1 for dimension in range(len(shape))])
        repeated = np.repeat(parameters, self.group_size, axis=axis)
        return np.take(repeated, np.arange(shape[axis]), axis=axis)


def as_scales(scale: ArrayLike, what: str = "scale") -> NDArray[np.float64]:
    """Scales as a read-only float64 array; float32 values convert without error.

    >>> as_scales(0.0)
    Traceback (most recent call last):
    accelsim.errors.NumericsError: scale: expected a finite number above 0, got 0.0
    """
    try:
        scales = np.array(scale, dtype=np.float64)
    except (TypeError, ValueError):
        raise NumericsError("expected numbers in a regular shape, got something else", field=what) from None
    wrong = scales[~(np.isfinite(scales) & (scales > 0))]
    if wrong.size:
        raise NumericsError(f"expected a finite number above 0, got {wrong.flat[0]}", field=what)
    if scales.size == 0:
        raise NumericsError("expected at least one number, got none", field=what)
    scales.flags.writeable = False
    return scales


def _check_granularity(scales: NDArray[np.float64], axis: int | None, group_size: int | None) -> None:
    if group_size is not None and (axis is None or isinstance(group_size, bool) or group_size < 1):
        found = "no axis" if axis is None else str(group_size)
        raise NumericsError(f"expected an axis and at least 1 element a group, got {found}", field="group_size")
    if axis is None and scales.ndim:
        raise NumericsError(f"expected an axis for scales of shape {scales.shape}, got none", field="axis")
    if axis is not None and group_size is None and scales.ndim != 1:
        raise NumericsError(f"expected a list of scales, one a channel, got shape {scales.shape}", field="scale")


def _as_floats(values: ArrayLike) -> NDArray[Any]:
    x = np.asarray(values)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _scale_in(scale: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The scales rounded to `dtype`; refused if one becomes 0 or infinite there."""
    with np.errstate(over="ignore", under="ignore"):
        cast = scale.astype(dtype)
    if not np.all(np.isfinite(cast) & (cast > 0)):
        raise NumericsError(f"expected scales that {dtype.name} can hold, got one that becomes 0 or infinite", field="scale")
    return cast
