"""Coded weights as the machine has them: integers on a uniform grid, and the width that moves through memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.nonuniform.weight_rows import stored_scales, whole_number

#: The PE kinds that take weights as codes (accelsim.hardware.precision).
PrecisionKindName = Literal["codebook", "shift_add", "binary", "ternary"]

#: Widest index that a codebook PE reads (CodebookPrecision.index_bits).
WIDEST_INDEX_BITS = 16

#: Vectors that are compared with all levels at once.
_VECTORS_AT_ONCE = 256

#: Widths of a shift_add PE's codes (ShiftAddPrecision.weight_bits).
SHIFT_ADD_BITS = (2, 6)


@dataclass(frozen=True, eq=False)
class LoweredWeights:
    """What goes into a `GridKernel` and a `Layer`: ``weight = scale * integer``, zero point 0.

    The PEs multiply by the integers; memory holds, and the buses carry, the codes. So the kernel gets `integers` and
    `qparams` (as `weights` and `weight`), and the layer's weight tensor the width `weight_bits`.

    Parameters
    ----------
    integers : (G, N, K), within `qparams.qtype`.
    qparams : scale a tensor, or axis 0 with one an output channel (G * N,); zero point 0.
    index_bits : of one code.
    precision_kind : the PE kind that takes the codes.
    vector_length : weights that one code stands for, neighbours along K; 1 but for vector codebooks.
    table : of a codebook: integers (entries, vector_length), which the codes index.

    Raises
    ------
    NumericsError : integers outside their type; a table that its index does not reach; an index that no PE of the kind has,
        or whose bits the vector's weights do not share evenly. Whether the PEs of a machine multiply the integers is checked
        where they run (`accelsim.hardware.precision_integers`).
    """

    integers: NDArray[Any]
    qparams: QParams
    index_bits: int
    precision_kind: PrecisionKindName
    vector_length: int = 1
    table: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if not self.qparams.qtype.holds(self.integers):
            raise NumericsError(f"expected {self.qparams.qtype.range_text} ({self.qparams.qtype.name}), "
                                f"got {self.integers.min()}..{self.integers.max()}", field="integers")
        if self.precision_kind == "codebook":
            self._check_table()
        narrowest, widest = SHIFT_ADD_BITS
        if self.precision_kind == "shift_add" and not narrowest <= self.index_bits <= widest:
            raise NumericsError(f"expected codes of {narrowest} to {widest} bits for a shift_add PE, got {self.index_bits}",
                                field="index_bits")

    def _check_table(self) -> None:
        if self.index_bits > WIDEST_INDEX_BITS:
            raise NumericsError(f"expected an index of at most {WIDEST_INDEX_BITS} bits for a codebook PE, "
                                f"got {self.index_bits}", field="index_bits")
        if self.index_bits % self.vector_length:
            raise NumericsError(f"expected whole bits a weight: an index of a multiple of the vector's {self.vector_length} "
                                f"weights, got {self.index_bits} bits", field="index_bits")
        if self.entry_bits < self.weight_bits:
            raise NumericsError(f"expected entries of at least the {self.weight_bits} bits of an index a weight, "
                                f"got {self.entry_bits}", field="entry_bits")
        if self.table is None or self.table.shape != (len(self.table), self.vector_length):
            raise NumericsError(f"expected entries of {self.vector_length} weights", field="table")
        if len(self.table) > 1 << self.index_bits:
            raise NumericsError(f"expected at most {1 << self.index_bits} entries, got {len(self.table)}", field="table")

    @property
    def weight_bits(self) -> int:
        """Width of a weight in memory: what the layer's weight tensor has."""
        return self.index_bits // self.vector_length

    @property
    def entry_bits(self) -> int:
        """Width of the integers that the PEs multiply by."""
        return self.qparams.qtype.bits

    @property
    def code(self) -> dict[str, object]:
        """What a code is, as the metadata of a saved network tell it."""
        code: dict[str, object] = {"bits": self.weight_bits, "kind": self.precision_kind}
        return code | ({"vector_length": self.vector_length} if self.vector_length > 1 else {})

    @property
    def levels(self) -> NDArray[Any]:
        """What a code can stand for: integers (levels, vector_length)."""
        if self.table is not None:
            return self.table
        if self.precision_kind == "shift_add":
            powers = np.left_shift(1, np.arange(self.entry_bits - 1))
            return np.concatenate([-powers[::-1], [0], powers])[:, None]
        return np.array([[-1], [1]] if self.precision_kind == "binary" else [[-1], [0], [1]])

    def at_scales(self, weights: NDArray[Any], scale: NDArray[np.float64]) -> LoweredWeights:
        """The same levels at other scales, (G * N,) or (): where the scale is another, weights take the nearest level.

        Parameters
        ----------
        weights : (G, N, K), what the codes stand for.
        """
        matrix = weights.astype(np.float64).reshape(-1, weights.shape[2])
        integers = self.integers.reshape(matrix.shape).copy()
        own, new = (np.broadcast_to(each, len(matrix)) for each in (self.qparams.scale, scale))
        for channel in np.flatnonzero(own != new):
            integers[channel] = self._nearest(matrix[channel] / new[channel])
        qparams = QParams(scale=scale, zero_point=0, qtype=self.qparams.qtype, axis=self.qparams.axis)
        return replace(self, integers=integers.reshape(self.integers.shape), qparams=qparams)

    def _nearest(self, quotients: NDArray[np.float64]) -> NDArray[Any]:
        """The nearest levels of a channel, vector by vector."""
        levels = self.levels.astype(np.float64)
        vectors = quotients.reshape(-1, self.vector_length)
        found = np.empty(len(vectors), np.int64)
        for first in range(0, len(vectors), _VECTORS_AT_ONCE):
            part = vectors[first:first + _VECTORS_AT_ONCE]
            # |v - c|^2 without |v|^2.
            found[first:first + len(part)] = np.argmin(np.square(levels).sum(axis=1) - 2 * part @ levels.T, axis=1)
        return self.levels[found].reshape(-1).astype(self.integers.dtype)

    def decode(self) -> NDArray[np.float64]:
        """The real weights (G, N, K) that the machine computes with."""
        shape = self.integers.shape
        return np.asarray(self.qparams.dequantize(self.integers.reshape(-1, shape[2])).reshape(shape))

    def precision(self, *, input_bits: int) -> dict[str, object]:
        """The narrowest PE that takes these weights, as `pe_grid.precision` has it in the YAML (or `with_changes`).

        A shifter reaches from 1 to the largest weight: where few codes stand for far powers, it is wider than the codes,
        which are then decoded to distances.
        """
        document: dict[str, object] = {"kind": self.precision_kind, "input_bits": input_bits}
        if self.precision_kind == "shift_add":
            largest = int(np.abs(self.integers.astype(np.int64)).max())
            distances = largest.bit_length()  # 0 to the exponent of the largest
            return document | {"weight_bits": max(self.index_bits, 1 + (distances - 1).bit_length())}
        if self.precision_kind == "codebook":
            return document | {"index_bits": self.index_bits, "vector_length": self.vector_length,
                               "entry_bits": self.entry_bits}
        return document


def shared_precision(weights: Sequence[LoweredWeights], *, input_bits: int) -> dict[str, object] | None:
    """The narrowest PE that takes the weights of several layers, as `LoweredWeights.precision`; None if there is none."""
    own = [each.precision(input_bits=input_bits) for each in weights]
    fixed = [(each["kind"], each.get("vector_length")) for each in own]
    if len(set(fixed)) != 1:
        return None
    widths = {name: max(cast(int, each[name]) for each in own) for name in own[0] if name.endswith("_bits")}
    return own[0] | widths


def from_table(codes: NDArray[Any], entries: NDArray[np.float64], *, scale: NDArray[np.float64], index_bits: int,
               entry_bits: int, shape: tuple[int, ...]) -> LoweredWeights:
    """Weights from a table whose entries are rounded (half to even) to `entry_bits`-bit signed integers, -max..max.

    The one rounding of a lowered codebook: each decoded weight is off by at most half a step, ``max|entry| / (2^b - 2)``,
    times its channel's scale.

    Parameters
    ----------
    codes : places in the table, one a vector, in the weights' order.
    entries : (entries, vector_length), real.
    scale : (), or (G * N,) by which each channel's weights are the entries' multiples.
    shape : of the weights.
    """
    qtype = QType(whole_number(entry_bits, 2, 32, "entry_bits"), True, is_restricted=True)
    step = stored_scales(np.array([np.abs(entries).max() / qtype.max]))[0]
    table = QParams(scale=step, zero_point=0, qtype=qtype).quantize(entries)
    scales = stored_scales(step * scale) if scale.ndim else step
    return LoweredWeights(
        integers=table[codes.reshape(-1)].reshape(shape), table=table, precision_kind="codebook", index_bits=index_bits,
        qparams=QParams(scale=scales, zero_point=0, qtype=qtype, axis=0 if scale.ndim else None),
        vector_length=entries.shape[1])
