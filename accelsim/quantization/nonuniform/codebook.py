"""Weights that are places in a table of centroids (k-means).

``min over the entries c and the codes of sum_i h_i (w_i - c_code(i))^2`` (survey, equation 13). Deep Compression counts
every weight alike, h = 1. Choi et al. weight them by the loss's second derivatives, h_i = H_ii, the diagonal of the
Hessian (their section 3): to second order the loss then rises least. The optimum is found by dynamic programming
(`scalar_clusters`), so that the papers' question of good starts does not arise. Huffman codes of the indices and the
retraining of the centroids are left out.

With scales a channel, which the papers do not have, the table holds multiples: ``w = s_n c`` (`channel_scales`).

References
----------
Han, Mao, Dally, "Deep Compression", ICLR 2016, arXiv 1510.00149, section 3.
Choi, El-Khamy, Lee, "Towards the Limit of Network Quantization", ICLR 2017, arXiv 1612.01543, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.quantization.nonuniform.channel_scales import with_channel_scales
from accelsim.quantization.nonuniform.coded_weights import CodedWeights
from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights, from_table
from accelsim.quantization.nonuniform.scalar_clusters import centroids, scalar_clusters
from accelsim.quantization.nonuniform.sorted_rows import SortedRows
from accelsim.quantization.nonuniform.weight_rows import as_importance, as_weights, rows_of, whole_number

Floats = NDArray[np.float64]

#: Width of an index. Wider tables hold more entries than 8-bit entries have values.
_BITS = (1, 8)


@dataclass(frozen=True, eq=False)
class Codebook(CodedWeights):
    """Indices and one table for the layer, which is what a codebook PE has.

    Parameters
    ----------
    codes : (G, N, K), places in the table.
    bits : of an index, 1 to 8.
    entries : ascending, at most 2^bits: as many as there are different weights, if these are fewer.
    scale : by which the entries are multiplied: 1, or (G * N,).

    Examples
    --------
    >>> coded = Codebook.fit([[[0.1, 0.2, -0.5, 0.1, -0.6, 0.2]]], bits=1)
    >>> coded.codes.tolist(), coded.entries.round(3).tolist()
    ([[[1, 1, 0, 1, 0, 1]]], [-0.55, 0.15])
    """

    bits: int
    entries: Floats
    scale: Floats

    @classmethod
    def fit(cls, weights: ArrayLike, *, bits: int = 4, importance: ArrayLike | None = None,
            per_channel: bool = False) -> Codebook:
        """Cluster.

        Parameters
        ----------
        weights : (G, N, K).
        importance : h, of a shape that broadcasts to the weights' (a diagonal Hessian); None counts every weight alike.
        per_channel : a scale for each output channel beside the one table.

        Raises
        ------
        NumericsError : NaN; a negative importance; more than 8 bits.
        """
        given, width = as_weights(weights), whole_number(bits, *_BITS, "bits")
        counted = None if importance is None else as_importance(importance, given.shape)
        if not per_channel:
            entries, codes, _multiples = _clustered(given, counted, 1 << width)
            return cls(codes=codes, bits=width, entries=entries, scale=np.array(1.0))
        entries, codes, scale = with_channel_scales(given, np.ones_like(given) if counted is None else counted,
                                                    partial(_clustered, clusters=1 << width))
        return cls(codes=codes, bits=width, entries=entries, scale=scale)

    def decode(self) -> Floats:
        multiples = rows_of(self.entries[self.codes], per_channel=True)
        return (multiples * self.scale[..., None]).reshape(self.codes.shape)

    def lower(self, *, entry_bits: int = 8) -> LoweredWeights:
        """For a codebook PE: the entries are rounded to `entry_bits`, 2 to 32; nothing else is lost.

        Every weight then differs from `decode` by at most ``s_n max|entry| / (2^entry_bits - 2)``, a half step.
        """
        return from_table(self.codes, self.entries[:, None], scale=self.scale, index_bits=self.bits, entry_bits=entry_bits,
                          shape=self.codes.shape)


def _clustered(values: Floats, importance: Floats | None, clusters: int) -> tuple[Floats, NDArray[Any], Floats]:
    """(entries, codes, what the codes stand for)."""
    rows = SortedRows(values.reshape(1, -1), None if importance is None else importance.reshape(1, -1))
    cuts = scalar_clusters(rows, clusters)
    entries, codes = centroids(rows, cuts), rows.codes(cuts).reshape(values.shape)
    return entries, codes, np.asarray(entries[codes])
