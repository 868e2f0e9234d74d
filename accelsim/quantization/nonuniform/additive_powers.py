"""Weights that are sums of a few powers of two (APoT): a few shifts and additions instead of a multiplication.

A b-bit weight is a sign and n terms of k bits (k n = b - 1), each 0 or one of 2^k - 1 powers:

    levels = gamma * (p_0 + ... + p_(n-1)),   p_i in {0, 2^-i, 2^-(i + n), ..., 2^-(i + (2^k - 2) n)}

No power occurs in two terms, so that all 2^(b-1) sums differ. gamma makes the highest level the clipping threshold alpha.
k = 1 is the uniform grid, n = 1 the logarithmic one. The paper learns alpha in training; here it is the largest weight, or
fitted.

Where k = 2 does not divide b - 1, as at 4 bits, the last term has one bit, and its one power comes before the last of the
other terms': at 4 bits the exponents are {0, 1, 3} and {2}. That is what the authors' code does.

References
----------
Li, Dong, Wang, "Additive Powers-of-Two Quantization", ICLR 2020, arXiv 1909.13144, section 2.2; survey, section III-F.
The term of one bit: yhhhli/APoT_Quantization, `models/quant_layer.py`; all its powers are half of the paper's, which
gamma undoes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.nonuniform.coded_weights import CodedWeights
from accelsim.quantization.nonuniform.level_grid import LevelGrid
from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights
from accelsim.quantization.nonuniform.sorted_rows import SortedRows
from accelsim.quantization.nonuniform.weight_rows import as_weights, one_of, rows_of, stored_scales, whole_number

Threshold = Literal["max", "fitted"]

#: Widths of a weight with its sign, and of a term. Levels are then integers of at most 32 bits, the widest entries of a
#: codebook PE (CodebookPrecision.entry_bits).
_BITS = (2, 8)
_TERM_BITS = (1, 5)


@dataclass(frozen=True, eq=False)
class AdditivePowers(CodedWeights):
    """A sign and the codes of n terms.

    Parameters
    ----------
    codes : (G, N, K): the sign (1 is minus), then term 0, ..., term n - 1, each 0 or 1 + its place among the term's powers.
    bits : with the sign, 2 to 8.
    exponents : of each term, ascending: its powers are ``2^-e``.
    scale : what the lowest power stands for: () or (G * N,).

    Examples
    --------
    >>> coded = AdditivePowers.fit([[[1.5, 0.6, -0.4, 0.0]]], bits=5)
    >>> coded.exponents, coded.decode().tolist(), coded.lower().integers.tolist()
    (((0, 2, 4), (1, 3, 5)), [[[1.5, 0.5625, -0.375, 0.0]]], [[[48, 18, -12, 0]]])
    """

    bits: int
    exponents: tuple[tuple[int, ...], ...]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, weights: ArrayLike, *, bits: int = 4, term_bits: int = 2, threshold: Threshold = "max",
            per_channel: bool = False) -> AdditivePowers:
        """Quantize to the nearest level.

        Parameters
        ----------
        weights : (G, N, K).
        term_bits : k, 1 to 5.
        threshold : alpha is the largest weight, or "fitted", the one of least squared error.
        per_channel : an alpha for each output channel.

        Raises
        ------
        NumericsError : NaN; a width that does not fall into terms.
        """
        given = as_weights(weights)
        one_of(threshold, ("max", "fitted"), "threshold")
        exponents = term_exponents(bits=bits, term_bits=term_bits)
        levels, digits = _levels(exponents)
        rows = SortedRows(rows_of(np.abs(given), per_channel=per_channel))
        grid = LevelGrid.nearest(levels.astype(np.float64))
        scale = grid.fitted_scale(rows) if threshold == "fitted" else stored_scales(rows.values[:, -1] / levels[-1])
        indices = grid.indices(rows, scale).reshape(given.shape)
        is_negative = (given < 0) & (indices > 0)
        return cls(codes=digits[indices] | (is_negative.astype(np.uint8) << (bits - 1)), bits=bits, exponents=exponents,
                   scale=scale if per_channel else scale[0])

    def terms(self) -> NDArray[np.int64]:
        """Signed integer of each term in units of the lowest power, (n, G, N, K); their sum is the weight / scale."""
        lowest = max(map(max, self.exponents))
        sign = np.where(self.codes >> (self.bits - 1) > 0, -1, 1)
        terms, below = [], self.bits - 1
        for powers in self.exponents:
            width = _bits_of(powers)
            below -= width
            table = np.array([0, *(1 << (lowest - e) for e in powers)], dtype=np.int64)
            terms.append(sign * table[(self.codes >> below) & ((1 << width) - 1)])
        return np.stack(terms)

    def decode(self) -> NDArray[np.float64]:
        integers = self.terms().sum(axis=0)
        return (rows_of(integers.astype(np.float64), per_channel=self.scale.ndim > 0)
                * self.scale[..., None]).reshape(integers.shape)

    def lower(self) -> LoweredWeights:
        """For a codebook PE, without loss: the table holds all levels as integers, and the code is the index.
        """
        levels, digits = _levels(self.exponents)
        qtype = QType(int(levels[-1]).bit_length() + 1, True, is_restricted=True)
        table = np.zeros((1 << self.bits, 1), dtype=qtype.dtype)
        table[digits, 0] = levels
        table[digits + (1 << (self.bits - 1)), 0] = -levels
        return LoweredWeights(integers=table[self.codes, 0], qparams=self._qparams(qtype), index_bits=self.bits,
                              precision_kind="codebook", table=table)

    def lower_terms(self) -> tuple[LoweredWeights, ...]:
        """For shift_add PEs, without loss: one layer a term, all of one scale, whose sums are added.

        A PE with one shifter takes the n terms one after the other; each has a code of its own, sign and place among its
        powers. The powers of a term are n apart: the shifter's distances are those of all terms
        (`LoweredWeights.precision`).
        """
        lowest = max(map(max, self.exponents))
        return tuple(
            LoweredWeights(integers=term.astype(qtype.dtype), qparams=self._qparams(qtype), index_bits=1 + _bits_of(powers),
                           precision_kind="shift_add")
            for term, powers in zip(self.terms(), self.exponents, strict=True)
            for qtype in [QType(lowest - powers[0] + 2, True)])

    def _qparams(self, qtype: QType) -> QParams:
        return QParams(scale=self.scale, zero_point=0, qtype=qtype, axis=0 if self.scale.ndim else None)


def term_exponents(*, bits: int, term_bits: int) -> tuple[tuple[int, ...], ...]:
    """The exponents e of each term's powers ``2^-e``, as in the module's first paragraphs.

    Raises
    ------
    NumericsError : a width that does not fall into terms.

    >>> term_exponents(bits=5, term_bits=2), term_exponents(bits=4, term_bits=2)
    (((0, 2, 4), (1, 3, 5)), ((0, 1, 3), (2,)))
    >>> term_exponents(bits=6, term_bits=3)
    Traceback (most recent call last):
    accelsim.errors.NumericsError: bits: expected a sign and a multiple of 3 bits (or, in terms of 2 bits, any width), got 6
    """
    width, k = whole_number(bits, *_BITS, "bits"), whole_number(term_bits, *_TERM_BITS, "term_bits")
    terms, rest = divmod(width - 1, k)
    if terms == 0 or (rest and k != 2):
        raise NumericsError(f"expected a sign and a multiple of {k} bits (or, in terms of 2 bits, any width), got {width}",
                            field="bits")
    last_round = (2**k - 2) * terms
    shared = tuple(tuple(step if step < last_round else step + rest for step in range(first, terms * (2**k - 1), terms))
                   for first in range(terms))
    return (*shared, (last_round,)) if rest else shared


def _levels(exponents: tuple[tuple[int, ...], ...]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """All sums in units of the lowest power, ascending, and each one's code without the sign."""
    lowest, found = max(map(max, exponents)), []
    for places in product(*(range(len(powers) + 1) for powers in exponents)):
        level = code = 0
        for place, powers in zip(places, exponents, strict=True):
            level += 1 << (lowest - powers[place - 1]) if place else 0
            code = (code << _bits_of(powers)) | place
        found.append((level, code))
    levels, codes = zip(*sorted(found), strict=True)
    return np.array(levels, dtype=np.int64), np.array(codes, dtype=np.uint8)


def _bits_of(powers: tuple[int, ...]) -> int:
    return len(powers).bit_length()
