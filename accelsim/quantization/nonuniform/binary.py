"""Weights -a and +a (XNOR-Net).

``min |W - a B|^2`` over a > 0 and B of -1 and +1 is solved by ``B = sign(W), a = mean |W|`` (Rastegari et al. 2016,
section 3.1; survey, equation 12). sign(0) is +1. The paper has one a for each filter.

References
----------
Rastegari et al., "XNOR-Net", ECCV 2016, arXiv 1603.05279.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.nonuniform.coded_weights import CodedWeights
from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights
from accelsim.quantization.nonuniform.weight_rows import as_weights, rows_of, stored_scales

#: -1 and +1 as integers.
SIGNS = QType(2, True, is_restricted=True)

#: A channel of zeros cannot be made of +-1: its scale is the smallest of the others divided by this. Its outputs are then
#: 1 / 4096 of those of such a channel, and its bias still fits 32 bits where theirs fit 20.
ZEROS_SHRINK_BY = 2.0**12


@dataclass(frozen=True, eq=False)
class Binary(CodedWeights):
    """Signs and their scale.

    Parameters
    ----------
    codes : (G, N, K), 1 for +a and 0 for -a.
    bits : 1.
    scale : a, () or (G * N,); 0 for a channel of zeros.

    Examples
    --------
    >>> coded = Binary.fit([[[0.5, -1.0], [0.0, 0.25]]])
    >>> coded.decode().tolist(), coded.lower().integers.tolist()
    ([[[0.75, -0.75], [0.125, 0.125]]], [[[1, -1], [1, 1]]])
    """

    bits: int
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, weights: ArrayLike, *, per_channel: bool = True) -> Binary:
        """Quantize weights (G, N, K), with an a for each output channel or for all.

        Raises
        ------
        NumericsError : NaN.
        """
        given = as_weights(weights)
        scale = np.abs(rows_of(given, per_channel=per_channel)).mean(axis=1).astype(np.float32).astype(np.float64)
        return cls(codes=(given >= 0).astype(np.uint8), bits=1, scale=scale if per_channel else scale[0])

    def decode(self) -> NDArray[np.float64]:
        signs = rows_of(np.where(self.codes == 1, 1.0, -1.0), per_channel=self.scale.ndim > 0)
        return (signs * self.scale[..., None]).reshape(self.codes.shape)

    def lower(self) -> LoweredWeights:
        """For a binary PE, without loss but in channels of zeros, which get a small scale instead of 0."""
        scale = stored_scales(np.atleast_1d(self.scale), shrinks_zeros_by=ZEROS_SHRINK_BY).reshape(self.scale.shape)
        return LoweredWeights(
            integers=np.where(self.codes == 1, 1, -1).astype(SIGNS.dtype), index_bits=1, precision_kind="binary",
            qparams=QParams(scale=scale, zero_point=0, qtype=SIGNS, axis=0 if scale.ndim else None))
