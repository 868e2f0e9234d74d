"""Weights -a, 0 and +a (ternary weight networks).

Weights of at most delta become 0, the others ``sign(w) * a``. Given delta, the best a is the mean of the sizes above it,
and the best delta maximizes ``(sum of sizes above delta)^2 / (number of them)`` (Li et al. 2016, section 2). The paper
approximates it by ``0.7 mean |W|``, derived for normal and uniform weights. Here it can be found exactly: with the sizes
sorted, every number of weights above delta is tried. The paper has one a for each layer.

References
----------
Li, Zhang, Liu, "Ternary Weight Networks", arXiv 1605.04711, section 2; survey, section IV-E.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.numerics.qparams import QParams
from accelsim.quantization.nonuniform.binary import SIGNS
from accelsim.quantization.nonuniform.coded_weights import CodedWeights
from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights
from accelsim.quantization.nonuniform.weight_rows import as_weights, one_of, rows_of, stored_scales

# Li et al. 2016, section 2: between the 0.75 of normal and the 0.66 of uniform weights.
_DELTA_OVER_MEAN = 0.7

Delta = Literal["optimal", "mean"]


@dataclass(frozen=True, eq=False)
class Ternary(CodedWeights):
    """Signs, zeros and their scale.

    Parameters
    ----------
    codes : (G, N, K), -1, 0, +1, stored in two bits.
    bits : 2.
    scale : a, () or (G * N,).
    delta : sizes up to it became 0; of the same shape.

    Examples
    --------
    >>> coded = Ternary.fit([[[0.9, -0.7, 0.2, -0.1]]])
    >>> coded.codes.tolist(), round(float(coded.scale), 6), float(coded.delta)
    ([[[1, -1, 0, 0]]], 0.8, 0.2)
    """

    bits: int
    scale: NDArray[np.float64]
    delta: NDArray[np.float64]

    @classmethod
    def fit(cls, weights: ArrayLike, *, delta: Delta = "optimal", per_channel: bool = False) -> Ternary:
        """Quantize.

        Parameters
        ----------
        weights : (G, N, K).
        delta : "optimal", of least squared error, or "mean", 0.7 times the mean size.
        per_channel : an a and a delta for each output channel.

        Raises
        ------
        NumericsError : NaN.
        """
        given = as_weights(weights)
        one_of(delta, ("optimal", "mean"), "delta")
        sizes = rows_of(np.abs(given), per_channel=per_channel)
        threshold = _optimal_delta(sizes) if delta == "optimal" else _DELTA_OVER_MEAN * sizes.mean(axis=1)
        is_above = sizes > threshold[:, None]
        scale = stored_scales(np.sum(sizes, axis=1, where=is_above) / np.maximum(is_above.sum(axis=1), 1))
        codes = np.sign(given).astype(np.int8) * is_above.reshape(given.shape)
        return cls(codes=codes, bits=2, scale=scale if per_channel else scale[0],
                   delta=threshold if per_channel else threshold[0])

    def decode(self) -> NDArray[np.float64]:
        rows = rows_of(self.codes.astype(np.float64), per_channel=self.scale.ndim > 0)
        return (rows * self.scale[..., None]).reshape(self.codes.shape)

    def lower(self) -> LoweredWeights:
        """For a ternary PE, without loss."""
        return LoweredWeights(
            integers=self.codes.astype(SIGNS.dtype), index_bits=2, precision_kind="ternary",
            qparams=QParams(scale=self.scale, zero_point=0, qtype=SIGNS, axis=0 if self.scale.ndim else None))


def _optimal_delta(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest size of each row that is better 0, (R,); 0 if none is."""
    falling = -np.sort(-sizes, axis=1)
    gain = np.cumsum(falling, axis=1) ** 2 / np.arange(1, sizes.shape[1] + 1)
    best = np.argmax(gain, axis=1)[:, None]
    following = np.concatenate([falling[:, 1:], np.zeros((len(sizes), 1))], axis=1)
    return np.asarray(np.take_along_axis(following, best, axis=1)[:, 0])
