"""Weights that are 0 or plus or minus a power of two: a shift instead of a multiplication.

Levels of a tensor or channel (survey, section III-F, "logarithmic"): ``0, +-u, +-2u, +-4u, ..., +-2^(m-1) u``.

========  ======================================================  ==========================================================
domain    a weight takes the level that is nearest in             the highest level, if it is a power of two
========  ======================================================  ==========================================================
linear    |w|: the cut between u and 2u is 1.5 u, below u it is   ``2^floor(log2(4 max|w| / 3))``: INQ
          u / 2
log       log2 |w|: the cut between u and 2u is sqrt(2) u, below  ``2^round(log2 max|w|)``: LogQuant
          u it is u / sqrt(2)
========  ======================================================  ==========================================================

The linear cuts are those of least squared error for given levels, so that is the default; the logarithmic ones bound the
relative error by sqrt(2) - 1. INQ's b bits tell 2^(b-2) powers apart and keep a code for 0: ``magnitudes=2**(bits - 2)``.
LogQuant's, and the default, use every code: 2^(b-1) - 1 powers, one code of the exponent being that of 0. The retraining
between INQ's groups of weights and LogQuant's base sqrt(2), which is no shift, are left out.

References
----------
Zhou et al., "Incremental Network Quantization", ICLR 2017, arXiv 1702.03044, section 2.1.
Miyashita, Lee, Murmann, "Convolutional Neural Networks using Logarithmic Data Representation", arXiv 1603.01025, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.nonuniform.coded_weights import CodedWeights
from accelsim.quantization.nonuniform.level_grid import LevelGrid
from accelsim.quantization.nonuniform.lowered_weights import SHIFT_ADD_BITS, LoweredWeights
from accelsim.quantization.nonuniform.sorted_rows import SortedRows
from accelsim.quantization.nonuniform.weight_rows import as_weights, one_of, rows_of, stored_scales, whole_number

Domain = Literal["linear", "log"]
Scale = Literal["power_of_two", "fitted"]


@dataclass(frozen=True, eq=False)
class PowerOfTwo(CodedWeights):
    """Signs and exponents.

    Parameters
    ----------
    codes : (G, N, K): the sign (1 is minus) above bits - 1 bits of exponent: 0 for the weight 0, e for ``2^(e-1) u``.
    bits : 2 to 6, what a shift_add PE takes.
    magnitudes : powers in use, 1 to 2^(bits-1) - 1.
    scale : u, the smallest level: () or (G * N,).

    Examples
    --------
    >>> coded = PowerOfTwo.fit([[[0.9, -0.26, 0.1, 0.02]]], bits=3)
    >>> coded.decode().tolist(), coded.codes.tolist(), coded.lower().integers.tolist()
    ([[[1.0, -0.25, 0.0, 0.0]]], [[[3, 5, 0, 0]]], [[[4, -1, 0, 0]]])
    """

    bits: int
    magnitudes: int
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, weights: ArrayLike, *, bits: int = 4, domain: Domain = "linear", scale: Scale = "power_of_two",
            per_channel: bool = False, magnitudes: int | None = None) -> PowerOfTwo:
        """Quantize.

        Parameters
        ----------
        weights : (G, N, K).
        domain : in which the nearest level is meant.
        scale : "power_of_two" as in the papers, or "fitted", any u, the one of least squared error.
        per_channel : an u for each output channel.
        magnitudes : powers in use; None is all, 2^(bits-1) - 1.

        Raises
        ------
        NumericsError : NaN; a width or number of powers that the code does not have.
        """
        given, width = as_weights(weights), whole_number(bits, *SHIFT_ADD_BITS, "bits")
        one_of(domain, ("linear", "log"), "domain")
        one_of(scale, ("power_of_two", "fitted"), "scale")
        most = (1 << (width - 1)) - 1
        count = most if magnitudes is None else whole_number(magnitudes, 1, most, "magnitudes")
        rows = SortedRows(rows_of(np.abs(given), per_channel=per_channel))
        levels = np.concatenate([[0.0], 2.0 ** np.arange(count)])
        grid = LevelGrid.nearest(levels) if domain == "linear" else LevelGrid(levels, levels[1:] / np.sqrt(2))
        unit = grid.fitted_scale(rows) if scale == "fitted" else _power_of_two_unit(rows, count, domain)
        exponents = grid.indices(rows, unit).reshape(given.shape).astype(np.uint8)
        is_negative = (given < 0) & (exponents > 0)
        return cls(codes=exponents | (is_negative.astype(np.uint8) << (width - 1)), bits=width, magnitudes=count,
                   scale=unit if per_channel else unit[0])

    def integers(self) -> NDArray[np.int64]:
        """``weight / u``: 0 and +-2^e, (G, N, K)."""
        exponents = (self.codes & ((1 << (self.bits - 1)) - 1)).astype(np.int64)
        sizes = np.where(exponents > 0, np.int64(1) << np.maximum(exponents - 1, 0), 0)
        return np.where(self.codes >> (self.bits - 1) > 0, -sizes, sizes)

    def decode(self) -> NDArray[np.float64]:
        integers = self.integers()
        return (rows_of(integers.astype(np.float64), per_channel=self.scale.ndim > 0)
                * self.scale[..., None]).reshape(integers.shape)

    def lower(self) -> LoweredWeights:
        """For a shift_add PE, without loss: integers 0 and +-2^e of magnitudes + 1 bits, with u as their scale.

        Sums grow with 2^(magnitudes - 1): 4 bits give at most 64, as 8-bit integers do, but 5 bits 2^14, and 6 bits 2^30.
        """
        qtype = QType(self.magnitudes + 1, True)
        return LoweredWeights(
            integers=self.integers().astype(qtype.dtype), index_bits=self.bits, precision_kind="shift_add",
            qparams=QParams(scale=self.scale, zero_point=0, qtype=qtype, axis=0 if self.scale.ndim else None))


def _power_of_two_unit(rows: SortedRows, magnitudes: int, domain: Domain) -> NDArray[np.float64]:
    """u such that the highest level is the power of two that the domain's rule gives for the row's largest weight."""
    largest = rows.values[:, -1]
    # frexp is exact where log2 may round up to an integer: x = mantissa * 2^exponent, 1/2 <= mantissa < 1.
    mantissa, exponent = np.frexp(largest)
    highest = exponent - 1 + (mantissa >= (0.75 if domain == "linear" else np.sqrt(0.5)))
    return stored_scales(np.where(largest > 0, np.ldexp(1.0, highest - magnitudes + 1), 0))
