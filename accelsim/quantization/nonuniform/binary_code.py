"""Weights that are sums of n signed numbers: ``w = a_1 b_1 + ... + a_n b_n``, b_i = -1 or +1 (multi-bit binary codes).

===========  ===========================================================================================================
method       how ``min |w - sum a_i b_i|^2`` is approached
===========  ===========================================================================================================
greedy       one after the other, on what is left: ``b_i = sign(r), a_i = mean |r|, r <- r - a_i b_i`` (HORQ)
shifted      fixed thresholds ``b_i = sign(w - mean(w) + u_i std(w))``, u_i evenly from -1 to 1, then all a_i at once by
             least squares (ABC-Net, section 3.1)
alternating  from the greedy a_i: by turns every weight takes the nearest of the 2^n sums, and all a_i are solved by
             least squares (Xu et al., section 3). No turn raises the error
===========  ===========================================================================================================

The a_i belong to a channel, to the whole tensor, or to the tensor with a factor a channel: ``w = s_n (a_1 b_1 + ...)``. That
decides what a machine with one table a layer can do with them:

=========  =======================================================  ====================================================
alphas     one codebook layer (`lower`): the sums are its entries   n binary layers that are added (`lower_planes`)
=========  =======================================================  ====================================================
tensor     yes; entries are rounded to the table's width            yes, exact
shared     yes, and the factors are the channels' scales            yes, exact
channel    no: every channel would need a table of its own          yes, exact
=========  =======================================================  ====================================================

References
----------
Li et al., "Performance Guaranteed Network Acceleration via High-Order Residual Quantization" (HORQ), arXiv 1708.08687.
Lin, Zhao, Pan, "Towards Accurate Binary Convolutional Neural Network" (ABC-Net), NIPS 2017, arXiv 1711.11294.
Xu et al., "Alternating Multi-bit Quantization for Recurrent Neural Networks", ICLR 2018, arXiv 1802.00150.
Survey, section IV-E.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.quantization.nonuniform.binary import SIGNS
from accelsim.quantization.nonuniform.channel_scales import with_channel_scales
from accelsim.quantization.nonuniform.coded_weights import CodedWeights
from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights, from_table
from accelsim.quantization.nonuniform.sorted_rows import SortedRows
from accelsim.quantization.nonuniform.weight_rows import as_weights, one_of, rows_of, stored_scales, whole_number

Floats = NDArray[np.float64]
Method = Literal["greedy", "shifted", "alternating"]
Alphas = Literal["tensor", "shared", "channel"]

#: Bits of a code.
_BITS = (1, 8)

#: Turns of the alternation, which ends by itself when no row's error falls by more than a millionth.
_TURNS = 60
_LEAST_GAIN = 1e-6

#: An a_i of 0 becomes the least other divided by this where it must be a scale: a plane has no bias, so it may be tiny.
_ZEROS_SHRINK_BY = 2.0**24


@dataclass(frozen=True, eq=False)
class BinaryCode(CodedWeights):
    """Signs and their alphas.

    Parameters
    ----------
    codes : (G, N, K): bit i is 1 for ``b_(i+1) = +1``.
    bits : n, 1 to 8.
    alphas : (1, n), or (G * N, n) with alphas of each channel; at least 0 and falling.
    scale : 1, or s_n, (G * N,).

    Examples
    --------
    >>> coded = BinaryCode.fit([[[1.0, -1.0, 0.5, 0.4]]], bits=2, alphas="tensor")
    >>> coded.alphas.round(3).tolist(), coded.decode().round(3).tolist()
    ([[0.725, 0.275]], [[[1.0, -1.0, 0.45, 0.45]]])
    """

    bits: int
    alphas: Floats
    scale: Floats

    @classmethod
    def fit(cls, weights: ArrayLike, *, bits: int = 3, method: Method = "alternating",
            alphas: Alphas = "shared") -> BinaryCode:
        """Quantize.

        Parameters
        ----------
        weights : (G, N, K).
        bits : n.
        method : a row of the first table.
        alphas : what has its own a_i: a row of the second table. "shared" is one codebook layer and loses 0.1 to 0.2 dB
            against "channel" on the layers of MLPerf Tiny's ResNet with 2 to 4 bits; "tensor" loses 0.9 to 1.6 dB.

        Raises
        ------
        NumericsError : NaN; more than 8 bits.
        """
        given, n = as_weights(weights), whole_number(bits, *_BITS, "bits")
        one_of(method, ("greedy", "shifted", "alternating"), "method")
        one_of(alphas, ("tensor", "shared", "channel"), "alphas")
        fit = partial(_fitted, bits=n, method=method, per_channel=alphas == "channel")
        if alphas == "shared":
            found, codes, scale = with_channel_scales(given, np.ones_like(given), fit)
        else:
            (found, codes, _sums), scale = fit(given, np.ones_like(given)), np.array(1.0)
        return cls(codes=codes, bits=n, alphas=found, scale=scale)

    def sums(self) -> Floats:
        """``sum a_i b_i`` of every code, (1 or G * N, 2^n)."""
        return self.alphas @ signs(self.bits).T

    def multiples(self) -> Floats:
        """The weights without s_n, (G, N, K)."""
        return _sums_at(self.codes, self.sums())

    def decode(self) -> Floats:
        return (rows_of(self.multiples(), per_channel=True) * self.scale[..., None]).reshape(self.codes.shape)

    def lower(self, *, entry_bits: int = 8) -> LoweredWeights:
        """For a codebook PE: the 2^n sums, rounded to `entry_bits`, are the table, and the code is the index.

        Every weight then differs from `decode` by at most ``s_n sum(a_i) / (2^entry_bits - 2)``, a half step.

        Raises
        ------
        NumericsError : alphas of each channel, since a machine has one table a layer.
        """
        if len(self.alphas) > 1:
            raise NumericsError('expected alphas that all channels share, for the one table of a codebook PE, got alphas of '
                                f'each of {len(self.alphas)} channels: fit "shared" ones, or lower to planes',
                                field="alphas")
        return from_table(self.codes, self.sums()[0][:, None], scale=self.scale, index_bits=self.bits, entry_bits=entry_bits,
                          shape=self.codes.shape)

    def lower_planes(self) -> tuple[LoweredWeights, ...]:
        """For binary PEs, without loss: n layers of the signs b_i with the scales ``s_n a_i``, whose outputs are added.

        The products are exact; what is lost is the rounding of n outputs instead of one, because the scales differ and the
        sums meet behind the requantizer. The bias belongs to one of the layers. An alpha of 0 gets a scale of 2^-24 of the
        smallest other.
        """
        per_channel = self.scale.ndim > 0 or len(self.alphas) > 1
        scales = stored_scales(self.alphas * self.scale[..., None], shrinks_zeros_by=_ZEROS_SHRINK_BY)
        return tuple(
            LoweredWeights(
                integers=np.where((self.codes >> plane) & 1 == 1, 1, -1).astype(SIGNS.dtype), index_bits=1,
                precision_kind="binary",
                qparams=QParams(scale=scales[:, plane] if per_channel else scales[0, plane], zero_point=0, qtype=SIGNS,
                                axis=0 if per_channel else None))
            for plane in range(self.bits))


def signs(bits: int) -> Floats:
    """b_1 .. b_n of every code, (2^n, n).

    >>> signs(2).tolist()
    [[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]
    """
    return np.where(np.arange(1 << bits)[:, None] >> np.arange(bits) & 1, 1.0, -1.0)


def _fitted(weights: Floats, importance: Floats, *, bits: int, method: Method,
            per_channel: bool) -> tuple[Floats, NDArray[Any], Floats]:
    """(alphas, codes, the sums that the codes stand for)."""
    values, counted = (rows_of(part, per_channel=per_channel) for part in (weights, importance))
    search = {"greedy": _greedy, "shifted": _shifted, "alternating": _alternating}[method]
    alphas, codes = _ordered(*search(values, counted, bits))
    alphas, codes = alphas.astype(np.float32).astype(np.float64), codes.reshape(weights.shape)
    return alphas, codes, _sums_at(codes, alphas @ signs(bits).T)


def _sums_at(codes: NDArray[Any], sums: Floats) -> Floats:
    """What codes (G, N, K) stand for, given the sums of all codes, (1 or G * N, 2^n)."""
    places = rows_of(codes, per_channel=len(sums) > 1).astype(np.intp)
    return np.take_along_axis(sums, places, axis=1).reshape(codes.shape)


def _greedy(values: Floats, counted: Floats, bits: int) -> tuple[Floats, NDArray[Any]]:
    rest, codes, alphas = values.copy(), np.zeros(values.shape, np.uint8), np.zeros((len(values), bits))
    for plane in range(bits):
        is_positive = rest >= 0
        alphas[:, plane] = np.sum(counted * np.abs(rest), axis=1) / counted.sum(axis=1)
        codes |= is_positive.astype(np.uint8) << plane
        rest -= np.where(is_positive, 1, -1) * alphas[:, plane, None]
    return alphas, codes


def _shifted(values: Floats, counted: Floats, bits: int) -> tuple[Floats, NDArray[Any]]:
    centred = values - values.mean(axis=1, keepdims=True)
    codes, deviation = np.zeros(values.shape, np.uint8), values.std(axis=1, keepdims=True)
    for plane in range(bits):
        # One plane alone has no shift.
        shift = -1 + 2 * plane / (bits - 1) if bits > 1 else 0.0
        codes |= (centred + shift * deviation >= 0).astype(np.uint8) << plane
    places = (np.arange(len(values))[:, None] << bits) + codes
    count, first = (np.asarray(np.bincount(places.ravel(), part.ravel(), len(values) << bits), np.float64)
                    .reshape(len(values), -1) for part in (counted, counted * values))
    return _least_squares(count, first, signs(bits)), codes


def _alternating(values: Floats, counted: Floats, bits: int) -> tuple[Floats, NDArray[Any]]:
    rows, table = SortedRows(values, counted), signs(bits)
    alphas, _codes = _greedy(values, counted, bits)
    step = _Nearest(rows, alphas, table)
    for _ in range(_TURNS):
        following = _Nearest(rows, _least_squares(step.count, step.first, table[step.order]), table)
        gains = step.errors - following.errors
        if not np.any(gains > _LEAST_GAIN * step.errors):
            break
        step = _Nearest(rows, np.where(gains[:, None] > 0, following.alphas, step.alphas), table)
    return step.alphas, np.take_along_axis(step.order, rows.codes(step.cuts).astype(np.intp), axis=1).astype(np.uint8)


class _Nearest:
    """Every value at the nearest of the sums that some alphas have: the sums in order, the cuts, what lies between them."""

    def __init__(self, rows: SortedRows, alphas: Floats, table: Floats) -> None:
        sums = alphas @ table.T
        self.alphas = alphas
        self.order = np.argsort(sums, axis=1, kind="stable")
        levels = np.take_along_axis(sums, self.order, axis=1)
        self.cuts = rows.cuts((levels[:, 1:] + levels[:, :-1]) / 2)
        self.count, self.first, second = rows.sums(self.cuts)
        self.errors: Floats = np.sum(second - 2 * levels * self.first + levels**2 * self.count, axis=1)


def _least_squares(count: Floats, first: Floats, table: Floats) -> Floats:
    """Alphas (R, n) of least squared error, given how much and what lies at each code, (R, 2^n).

    ``min_a sum h (v - b a)^2``: ``(sum h b b') a = sum h v b``. Planes that are alike share their part (pseudo-inverse).
    `table` holds the signs in the order of the codes: (2^n, n), or (R, 2^n, n).
    """
    table = np.broadcast_to(table, (*count.shape, table.shape[-1]))
    gram = np.einsum("rc,rci,rcj->rij", count, table, table, optimize=True)
    product = np.einsum("rc,rci->ri", first, table)
    return np.asarray(np.einsum("rij,rj->ri", np.linalg.pinv(gram, rcond=1e-10, hermitian=True), product))


def _ordered(alphas: Floats, codes: NDArray[Any]) -> tuple[Floats, NDArray[Any]]:
    """The same sums with alphas of at least 0 that fall: planes turned over and exchanged."""
    bits = alphas.shape[1]
    order = np.argsort(-np.abs(alphas), axis=1, kind="stable")
    turned = np.where(alphas < 0, -1, 1)
    table = np.take_along_axis(signs(bits)[None] * turned[:, None, :], order[:, None, :], axis=2)
    renamed = ((table > 0) << np.arange(bits)).sum(axis=2)
    return (np.take_along_axis(np.abs(alphas), order, axis=1),
            np.take_along_axis(renamed, codes.astype(np.intp), axis=1).astype(np.uint8))
