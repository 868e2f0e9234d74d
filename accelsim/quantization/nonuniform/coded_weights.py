"""Weights as codes of a few bits, and what all of their kinds can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights
from accelsim.quantization.nonuniform.weight_rows import as_importance, as_weights


@dataclass(frozen=True, eq=False)
class CodedWeights(ABC):
    """Base of the non-uniform quantizers' results.

    Parameters
    ----------
    codes : the integers that are stored; of the weights' shape unless the class says otherwise.
    bits : stored for each weight, tables and scales not counted.
    """

    codes: NDArray[Any]
    bits: int | Fraction

    @abstractmethod
    def decode(self) -> NDArray[np.float64]:
        """The weights (G, N, K) that the codes stand for."""

    @abstractmethod
    def lower(self) -> LoweredWeights:
        """The integers, scales and widths that the machine executes."""

    def squared_error(self, weights: ArrayLike, *, importance: ArrayLike = 1.0) -> float:
        """``sum h (w - decode)^2`` over all weights; h is 1 or each weight's importance."""
        given = as_weights(weights)
        return float(np.sum(as_importance(importance, given.shape) * np.square(given - self.decode())))

    def sqnr_db(self, weights: ArrayLike) -> float:
        """``10 log10(sum w^2 / sum (w - decode)^2)``; infinite without an error."""
        given, error = as_weights(weights), self.squared_error(weights)
        with np.errstate(divide="ignore"):
            return float(10 * np.log10(np.sum(np.square(given)) / error)) if error else float("inf")
