"""Vectors of neighbouring weights that are places in a table of vectors (product quantization).

A channel's K weights are cut into K / d vectors of d neighbours, and all vectors are clustered: ``min sum |v - c_code|^2``.

- One table for the layer is Stock et al.'s (section 3.1) and what a codebook PE has. With the Gram matrix ``X' X`` of d
  neighbouring inputs the error is that of the layer's outputs, ``|X (v - c)|^2``, as theirs.
- One table for each of the K / d positions is product quantization as Gong et al. have it (section 3; survey, section
  IV-F). No machine here has so many tables, so it does not lower.
- Residual stages (Gong et al., section 3): what one stage leaves is clustered by the next, and a weight is the sum of its
  entries. With a table of all sums, T stages of b bits are one index of T b bits.

The papers' fine-tuning of the tables is left out.

References
----------
Gong et al., "Compressing Deep Convolutional Networks using Vector Quantization", arXiv 1412.6115.
Stock et al., "And the Bit Goes Down: Revisiting the Quantization of Neural Networks", ICLR 2020, arXiv 1907.05686.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.quantization.nonuniform.coded_weights import CodedWeights
from accelsim.quantization.nonuniform.lowered_weights import WIDEST_INDEX_BITS, LoweredWeights, from_table
from accelsim.quantization.nonuniform.vector_clusters import vector_clusters
from accelsim.quantization.nonuniform.weight_rows import as_weights, one_of, root_mean_squares, rows_of, whole_number

Floats = NDArray[np.float64]
Tables = Literal["layer", "position"]

#: Least eigenvalue of the Gram matrix, as a part of its largest: directions without inputs count a little.
_DAMPING = 1e-6


@dataclass(frozen=True, eq=False)
class ProductQuantization(CodedWeights):
    """Indices of vectors and their tables.

    Parameters
    ----------
    codes : (stages, G * N, K / d), places in the stage's table.
    bits : for each weight, ``stages * index_bits / d``, often a fraction.
    index_bits : of one stage's index.
    tables : (stages, positions, 2^index_bits, d); positions is 1 or K / d. Places that no vector uses are 0.
    scale : by which the tables' entries are multiplied: 1, or (G * N,).
    shape : of the weights.

    Examples
    --------
    >>> coded = ProductQuantization.fit([[[0.1, 0.9, 0.1, 0.9, -0.5, 0.2]]], vector_length=2, index_bits=2,
    ...                                 generator=np.random.default_rng(0))
    >>> coded.decode().tolist(), coded.bits, coded.lower().weight_bits
    ([[[0.1, 0.9, 0.1, 0.9, -0.5, 0.2]]], Fraction(1, 1), 1)
    """

    bits: Fraction
    index_bits: int
    tables: Floats
    scale: Floats
    shape: tuple[int, ...]

    @classmethod
    def fit(cls, weights: ArrayLike, *, vector_length: int, index_bits: int, generator: np.random.Generator, stages: int = 1,
            tables: Tables = "layer", input_gram: ArrayLike | None = None, per_channel: bool = False,
            starts: int = 1) -> ProductQuantization:
        """Cluster.

        Parameters
        ----------
        weights : (G, N, K).
        vector_length : d, neighbours along K; it divides K.
        index_bits : of one stage, 1 to 16.
        generator : of the first centroids.
        stages : tables whose entries are added.
        tables : one for the layer, or one for each position along K.
        input_gram : (d, d), ``X' X`` of d neighbouring inputs; None counts every weight's error alike.
        per_channel : a factor for each output channel, its root mean square, beside the tables.
        starts : of each clustering; the best counts.

        Raises
        ------
        NumericsError : NaN; a vector length that does not divide K; a Gram matrix of another size.
        """
        given = as_weights(weights)
        length = _vector_length(vector_length, given.shape[2])
        width = whole_number(index_bits, 1, WIDEST_INDEX_BITS, "index_bits")
        count = whole_number(stages, 1, 16, "stages")
        one_of(tables, ("layer", "position"), "tables")
        scale = root_mean_squares(given) if per_channel else np.array(1.0)
        rest = (rows_of(given, per_channel=True) / scale[..., None]).reshape(-1, given.shape[2] // length, length)
        counted = np.broadcast_to(np.square(scale)[..., None], rest.shape[:2])
        forward, backward = _metric(input_gram, length)
        codes, found = [], []
        for _ in range(count):
            stage_tables, stage_codes = _clustered(rest @ forward, counted, 1 << width, tables, generator, starts)
            stage_tables = stage_tables @ backward
            rest = rest - _entries(stage_tables, stage_codes)
            codes.append(stage_codes)
            found.append(stage_tables)
        return cls(codes=np.stack(codes), bits=Fraction(count * width, length), index_bits=width, tables=np.stack(found),
                   scale=scale, shape=given.shape)

    @property
    def stages(self) -> int:
        return len(self.tables)

    @property
    def vector_length(self) -> int:
        return int(self.tables.shape[3])

    def decode(self) -> Floats:
        return self.decode_stages(self.stages)

    def decode_stages(self, count: int) -> Floats:
        """The weights (G, N, K) that the first `count` stages stand for."""
        multiples = sum((_entries(table, codes) for table, codes in zip(self.tables[:count], self.codes, strict=False)),
                        np.zeros((*self.codes.shape[1:], self.vector_length)))
        return (multiples.reshape(len(multiples), -1) * self.scale[..., None]).reshape(self.shape)

    def lower(self, *, entry_bits: int = 8) -> LoweredWeights:
        """For a codebook PE: a table of all sums of the stages' entries, rounded to `entry_bits`; the index is their codes.

        Every weight then differs from `decode` by at most ``s_n max|sum| / (2^entry_bits - 2)``, a half step; the maximum
        is over sums in use.

        Raises
        ------
        NumericsError : a table for each position; an index of more than 16 bits, or that does not give every weight of the
            vector the same whole number of bits.
        """
        self._check_one_table()
        bits = self.stages * self.index_bits
        if bits > WIDEST_INDEX_BITS:
            raise NumericsError(f"expected an index of at most {WIDEST_INDEX_BITS} bits for a codebook PE, got "
                                f"{self.stages} stages of {self.index_bits}: lower to stages", field="index_bits")
        table, codes = self.tables[0, 0], self.codes[0]
        for stage in range(1, self.stages):
            table = (table[:, None] + self.tables[stage, 0][None]).reshape(-1, self.vector_length)
            codes = (codes << self.index_bits) + self.codes[stage]
        # Sums that no vector has must not widen the entries' grid.
        largest = np.abs(table[np.unique(codes)]).max()
        return from_table(codes, np.clip(table, -largest, largest), scale=self.scale, index_bits=bits, entry_bits=entry_bits,
                          shape=self.shape)

    def lower_stages(self, *, entry_bits: int = 8) -> tuple[LoweredWeights, ...]:
        """For codebook PEs: one layer a stage, whose outputs are added; each table is rounded to `entry_bits` by itself."""
        self._check_one_table()
        return tuple(from_table(codes, table[0], scale=self.scale, index_bits=self.index_bits, entry_bits=entry_bits,
                                shape=self.shape) for table, codes in zip(self.tables, self.codes, strict=True))

    def _check_one_table(self) -> None:
        if self.tables.shape[1] > 1:
            raise NumericsError(f"expected one table for the layer, as a codebook PE has, got one for each of "
                                f"{self.tables.shape[1]} positions", field="tables")


def _vector_length(length: int, steps: int) -> int:
    whole_number(length, 1, steps, "vector_length")
    if steps % length:
        raise NumericsError(f"expected a length that divides the {steps} weights of a channel, got {length}",
                            field="vector_length")
    return length


def _metric(gram: ArrayLike | None, length: int) -> tuple[Floats, Floats]:
    """L and its inverse, where ``L L'`` is the Gram matrix: ``|(v - c) L|^2`` is the outputs' error, so v L is clustered."""
    if gram is None:
        return np.eye(length), np.eye(length)
    matrix = np.asarray(gram, dtype=np.float64)
    if matrix.shape != (length, length) or not np.all(np.isfinite(matrix)) or not np.allclose(matrix, matrix.T):
        raise NumericsError(f"expected a symmetric matrix of finite numbers, ({length}, {length}), got shape {matrix.shape}",
                            field="input_gram")
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < -1e-9 * abs(values[-1]) or values[-1] <= 0:
        raise NumericsError("expected a matrix X' X, got one with a negative eigenvalue or none above 0", field="input_gram")
    roots = np.sqrt(np.maximum(values, _DAMPING * values[-1]))
    return vectors * roots, (vectors / roots).T


def _clustered(vectors: Floats, counted: Floats, entries: int, tables: Tables, generator: np.random.Generator,
               starts: int) -> tuple[Floats, NDArray[Any]]:
    """Tables (positions, entries, d) and codes (rows, K / d) of vectors (rows, K / d, d)."""
    rows, positions, length = vectors.shape
    blocks = vectors.reshape(1, -1, length) if tables == "layer" else vectors.swapaxes(0, 1)
    importance = counted.reshape(1, -1) if tables == "layer" else counted.T
    found = np.zeros((len(blocks), entries, length))
    codes = np.empty(blocks.shape[:2], np.int64)
    for place, (block, weights) in enumerate(zip(blocks, importance, strict=True)):
        centroids, codes[place] = vector_clusters(block, entries, generator=generator, weights=weights, starts=starts)
        found[place, :len(centroids)] = centroids
    return found, codes.reshape(rows, positions) if tables == "layer" else codes.T


def _entries(tables: Floats, codes: NDArray[Any]) -> Floats:
    """(rows, K / d, d)."""
    if len(tables) == 1:
        return np.asarray(tables[0][codes])
    return np.asarray(tables[np.arange(len(tables)), codes])
