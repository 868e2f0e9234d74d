"""The grid that a layer's weights are rounded to, with one scale and one range for each weight.

Integers q stand for ``scale * (q - zero_point)``. Rounding works with ``steps = q - zero_point``, so that 0 is 0 whatever
the zero point, and with each weight's own scale, so that scales per tensor, per channel and per block of K are one case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType

Shape3 = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class WeightGrid:
    """A `QParams` spread over weights (G, N, K).

    Parameters
    ----------
    qparams : of the weights as a matrix (G * N, K): per tensor, per channel (axis 0), or per block of K (axis 1 and a group
        size).
    shape : (G, N, K).
    scale : float64 (G, N, K).
    lowest, highest : float64 (G, N, K), the type's range in steps: ``qtype.min - zero_point``, ``qtype.max - zero_point``.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> grid = WeightGrid.of(QParams(scale=[0.5, 2.0], zero_point=[0, 3], qtype=QType(4, False), axis=0), (1, 2, 1))
    >>> grid.scale.ravel(), grid.lowest.ravel(), grid.highest.ravel()
    (array([0.5, 2. ]), array([ 0., -3.]), array([15., 12.]))
    >>> grid.integers(np.array([[[2.0], [-9.0]]])).ravel()
    array([2, 0], dtype=uint8)
    """

    qparams: QParams
    shape: Shape3
    scale: NDArray[np.float64]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]

    @classmethod
    def of(cls, qparams: QParams, shape: Shape3) -> WeightGrid:
        """Spread the parameters.

        Raises
        ------
        NumericsError : scales of a shape that does not fit (G * N, K).
        """
        matrix = (shape[0] * shape[1], shape[2])
        # `dequantize` alone knows how parameters spread: of ones without zero point it gives scales, at scale 1 distances.
        ones = np.ones(matrix, dtype=np.int64)
        scale = _with(qparams, scale=qparams.scale, zero_point=0, qtype=QType(2, True)).dequantize(ones)
        unit = _with(qparams, scale=np.ones_like(qparams.scale), zero_point=qparams.zero_point, qtype=qparams.qtype)
        lowest, highest = (unit.dequantize(np.full(matrix, limit)) for limit in (qparams.qtype.min, qparams.qtype.max))
        return cls(qparams, shape, scale.reshape(shape), lowest.reshape(shape), highest.reshape(shape))

    def quotients(self, weights: NDArray[Any]) -> NDArray[Any]:
        """``w / scale`` in the weights' own type, as `QParams.quantize` divides."""
        return np.asarray(weights / self.scale.astype(weights.dtype))

    def integers(self, steps: NDArray[Any]) -> NDArray[Any]:
        """Steps (G, N, K), integral and within the range or not, as integers of the type: saturated."""
        limited = np.clip(steps, self.lowest, self.highest)
        return self.qparams.qtype.clamp((limited - self.lowest).astype(np.int64) + self.qparams.qtype.min)

    def steps(self, integers: NDArray[Any]) -> NDArray[np.float64]:
        """``q - zero_point``, exact.

        Raises
        ------
        NumericsError : integers outside the type.
        """
        if not self.qparams.qtype.holds(integers):
            raise NumericsError(f"expected {self.qparams.qtype.range_text} ({self.qparams.qtype.name}), "
                                f"got {integers.min()}..{integers.max()}", field="integers")
        return np.asarray(integers.astype(np.float64) - self.qparams.qtype.min + self.lowest)

    def nearest(self, weights: NDArray[Any]) -> NDArray[Any]:
        """Integers (G, N, K) of round-to-nearest, as ONNX's QuantizeLinear rounds."""
        return self.qparams.quantize(weights.reshape(-1, self.shape[2])).reshape(self.shape)

    def dequantized(self, integers: NDArray[Any]) -> NDArray[np.float64]:
        """The real weights (G, N, K) that integers stand for."""
        return np.asarray(self.qparams.dequantize(integers.reshape(-1, self.shape[2])).reshape(self.shape))


def _with(qparams: QParams, *, scale: NDArray[np.float64], zero_point: Any, qtype: QType) -> QParams:
    """Parameters of the same granularity."""
    return QParams(scale=scale, zero_point=zero_point, qtype=qtype, axis=qparams.axis, group_size=qparams.group_size)
