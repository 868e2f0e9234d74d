"""The products of a block: inputs of some positions times weights of some channels, and the bounds on their partial sums."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from accelsim.numerics.exact_product import as_integer_sums, exact_kind, magnitude_sums
from accelsim.numerics.integer_array import INT64_MAX, Integers, magnitude

#: A range of reduction steps.
Run = tuple[int, int]


class BlockWeights:
    """Weights (G, N, K), with what several blocks of inputs ask of them."""

    def __init__(self, weights: NDArray[Any]) -> None:
        self.integers = weights
        self._cast: dict[object, tuple[NDArray[Any], NDArray[Any]]] = {}
        self._run_sums: dict[Run, int] = {}

    @cached_property
    def magnitude_sums(self) -> Integers:
        """``sum_k |w|`` of each channel, (G, N)."""
        return magnitude_sums(self.integers)

    @cached_property
    def largest_sum(self) -> int:
        """The largest of them."""
        return int(self.magnitude_sums.max(initial=0))

    @cached_property
    def largest(self) -> int:
        """max|w|."""
        return magnitude(self.integers)

    def run_sum(self, run: Run) -> int:
        """The largest ``sum |w|`` of a channel over a range of steps."""
        if run not in self._run_sums:
            self._run_sums[run] = int(np.max(magnitude_sums(self.integers[..., slice(*run)])))
        return self._run_sums[run]

    def transposed(self, kind: DTypeLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """(w^T, |w|^T) in a type, (G, K, N)."""
        if kind not in self._cast:
            cast = np.swapaxes(self.integers.astype(kind), -1, -2)
            self._cast[kind] = cast, np.abs(cast)
        return self._cast[kind]


class BlockProducts:
    """Inputs (G, M, K) and weights (G, N, K), integers; what follows from them is computed when it is first asked for.

    ``S = x w^T`` is exact in the type `kind`, and so is ``A = |x| |w|^T``; whatever the order, each partial sum of a range
    of steps lies within ``(S - A) / 2 .. (S + A) / 2``, the sums of its negative and of its positive products.

    Parameters
    ----------
    largest_input : max|x|, or a bound on it; looked for if left out.
    """

    def __init__(self, inputs: NDArray[Any], weights: NDArray[Any] | BlockWeights, *,
                 largest_input: int | None = None) -> None:
        self.inputs = inputs
        self.prepared = weights if isinstance(weights, BlockWeights) else BlockWeights(weights)
        self._largest_input = largest_input

    @property
    def weights(self) -> NDArray[Any]:
        return self.prepared.integers

    @cached_property
    def largest_input(self) -> int:
        """max|x|, or the bound that was given."""
        return magnitude(self.inputs) if self._largest_input is None else self._largest_input

    @cached_property
    def bound(self) -> int:
        """``max|x| * max sum_k |w|``: no partial sum is larger in magnitude."""
        return self.largest_input * self.prepared.largest_sum

    @cached_property
    def kind(self) -> DTypeLike:
        """The type in which sums of products are exact."""
        return exact_kind(self.bound)

    @cached_property
    def _x(self) -> NDArray[Any]:
        return np.asarray(self.inputs.astype(self.kind))

    @cached_property
    def _absolute_x(self) -> NDArray[Any]:
        return np.asarray(np.abs(self._x))

    @cached_property
    def sums(self) -> NDArray[Any]:
        """S over all steps, (G, M, N), in `kind`."""
        return np.asarray(self._x @ self.prepared.transposed(self.kind)[0])

    @cached_property
    def magnitudes(self) -> NDArray[Any]:
        """A over all steps, (G, M, N), in `kind`."""
        return np.asarray(self._absolute_x @ self.prepared.transposed(self.kind)[1])

    @property
    def twice_the_signed_sums(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """``A + S`` and ``A - S`` over all steps, (G, M, N): twice the sums of the positive and of the negative products.

        Both are even, so the floating-point kinds hold them though they reach twice the bound; int64 need not.
        """
        magnitudes, sums = self.magnitudes, self.sums
        if self.kind == np.int64 and self.bound > INT64_MAX // 2:
            magnitudes, sums = magnitudes.astype(object), sums.astype(object)
        return magnitudes + sums, magnitudes - sums

    @cached_property
    def integers(self) -> Integers:
        """S as int64, or Python integers."""
        return as_integer_sums(self.sums)

    def run_sums(self, run: Run) -> NDArray[Any]:
        """S over a range of steps, in `kind`."""
        return np.asarray(self._x[..., slice(*run)] @ self.prepared.transposed(self.kind)[0][:, slice(*run)])

    def run_magnitudes(self, run: Run) -> NDArray[Any]:
        """A over a range of steps, in `kind`."""
        return np.asarray(self._absolute_x[..., slice(*run)] @ self.prepared.transposed(self.kind)[1][:, slice(*run)])

    def run_bound(self, run: Run) -> int:
        """No partial sum of a range of steps is larger in magnitude."""
        return self.largest_input * self.prepared.run_sum(run)

    def chosen(self, channels: NDArray[np.int64]) -> BlockProducts:
        """The same for some of the channels."""
        if channels.size == self.weights.shape[1]:
            return self
        return BlockProducts(self.inputs, self.weights[:, channels], largest_input=self._largest_input)

    def addends(self, places: tuple[NDArray[np.int64], ...], run: Run, held: Integers) -> NDArray[Any]:
        """Products of some outputs (indices of group, position, channel) over a range of steps, (outputs, steps).

        In the narrowest integers that hold every partial sum of them and what the registers `held`.
        """
        g, m, n = places
        x, w = self.inputs[g, m, slice(*run)], self.weights[g, n, slice(*run)]
        bound = self.largest_input * self.prepared.largest * x.shape[1] + magnitude(held)
        kind = np.int32 if bound < 2**30 else np.int64 if bound < INT64_MAX // 2 else object
        return np.asarray(x.astype(kind) * w.astype(kind))
