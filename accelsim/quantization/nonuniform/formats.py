"""The formats of weights by name, as policies and command lines write them.

===============  ==============================================================  =============  ============================
name             what a code is                                                  PE kind        options
===============  ==============================================================  =============  ============================
uniform          the integer itself                                              any            of the rule: symmetry, ...
power_of_two     a sign and an exponent                                          shift_add      domain, scale, magnitudes
additive_powers  a sign and a few exponents, whose powers are added              codebook       term_bits, threshold
binary_code      b signs, whose a_i are added                                    codebook       method, entry_bits
codebook         a place in a table of weights (k-means)                         codebook       importance, entry_bits
product          a place in a table of vectors, or in several that are added     codebook       vector_length, stages,
                                                                                                importance, starts, seed,
                                                                                                entry_bits
binary           a sign                                                          binary         none
ternary          -1, 0 or +1                                                     ternary        delta
===============  ==============================================================  =============  ============================

`importance: hessian` weights errors by the layer's inputs x on the calibration set: the Hessian of the layer's own squared
error ``|W x - W^ x|^2`` is ``2 x x'``. A codebook takes its diagonal, the sums of ``x_k^2``; vectors of d weights its
blocks of d by d, added up over their places. It stands in for the Hessian of the network's loss, which needs labels and
gradients.

References
----------
Choi, El-Khamy, Lee, "Towards the Limit of Network Quantization", ICLR 2017, arXiv 1612.01543, section 3; Stock et al., "And
the Bit Goes Down", ICLR 2020, arXiv 1907.05686, section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.quantization.named_options import named
from accelsim.quantization.nonuniform import additive_powers, binary, binary_code, codebook, power_of_two, ternary
from accelsim.quantization.nonuniform.coded_weights import CodedWeights
from accelsim.quantization.nonuniform.lowered_weights import WIDEST_INDEX_BITS, LoweredWeights
from accelsim.quantization.nonuniform.product_quantization import ProductQuantization
from accelsim.quantization.nonuniform.weight_format import CodedFormat, Uniform, WeightFormat
from accelsim.quantization.nonuniform.weight_rows import one_of, whole_number

_IMPORTANCE = ("equal", "hessian")

Sums = NDArray[Any] | None


@dataclass(frozen=True)
class PowerOfTwo(CodedFormat):
    """Shifts (`power_of_two`)."""

    domain: str = "linear"
    scale: str = "power_of_two"
    magnitudes: int | None = None

    name = "power_of_two"
    default_bits = 4

    def fit(self, weights: NDArray[Any], *, bits: int, per_channel: bool, input_sums: Sums = None) -> CodedWeights:
        return power_of_two.PowerOfTwo.fit(
            weights, bits=bits, domain=cast(power_of_two.Domain, self.domain), scale=cast(power_of_two.Scale, self.scale),
            magnitudes=self.magnitudes, per_channel=per_channel)

    def lower(self, coded: CodedWeights) -> LoweredWeights:
        return coded.lower()


@dataclass(frozen=True)
class AdditivePowers(CodedFormat):
    """Sums of shifts (`additive_powers`), as entries of a table."""

    term_bits: int = 2
    threshold: str = "max"

    name = "additive_powers"
    default_bits = 4

    def fit(self, weights: NDArray[Any], *, bits: int, per_channel: bool, input_sums: Sums = None) -> CodedWeights:
        return additive_powers.AdditivePowers.fit(
            weights, bits=bits, term_bits=self.term_bits, threshold=cast(additive_powers.Threshold, self.threshold),
            per_channel=per_channel)

    def lower(self, coded: CodedWeights) -> LoweredWeights:
        return coded.lower()


@dataclass(frozen=True)
class BinaryCode(CodedFormat):
    """Sums of signed numbers (`binary_code`), as entries of a table: its numbers are the tensor's, with a factor a channel
    where scales are per channel."""

    method: str = "alternating"
    entry_bits: int = 8

    name = "binary_code"
    default_bits = 3

    def fit(self, weights: NDArray[Any], *, bits: int, per_channel: bool, input_sums: Sums = None) -> CodedWeights:
        return binary_code.BinaryCode.fit(weights, bits=bits, method=cast(binary_code.Method, self.method),
                                          alphas="shared" if per_channel else "tensor")

    def lower(self, coded: CodedWeights) -> LoweredWeights:
        assert isinstance(coded, binary_code.BinaryCode)
        return coded.lower(entry_bits=self.entry_bits)


@dataclass(frozen=True)
class Codebook(CodedFormat):
    """One table of weights (`codebook`)."""

    importance: str = "equal"
    entry_bits: int = 8

    name = "codebook"
    default_bits = 4

    def fit(self, weights: NDArray[Any], *, bits: int, per_channel: bool, input_sums: Sums = None) -> CodedWeights:
        one_of(self.importance, _IMPORTANCE, "importance")
        return codebook.Codebook.fit(weights, bits=bits, importance=input_sums, per_channel=per_channel)

    def lower(self, coded: CodedWeights) -> LoweredWeights:
        assert isinstance(coded, codebook.Codebook)
        return coded.lower(entry_bits=self.entry_bits)

    @property
    def needs_inputs(self) -> bool:
        return self.importance == "hessian"

    def sums_of(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """``sum x_k^2``, (G, 1, K)."""
        return np.asarray(np.square(rows.astype(np.float64)).sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Product(CodedFormat):
    """Tables of vectors (`product_quantization`): an index of ``bits * vector_length`` bits, shared by the stages."""

    vector_length: int = 4
    stages: int = 1
    importance: str = "equal"
    starts: int = 1
    seed: int = 0
    entry_bits: int = 8

    name = "product"
    default_bits = 2

    def fit(self, weights: NDArray[Any], *, bits: int, per_channel: bool, input_sums: Sums = None) -> CodedWeights:
        one_of(self.importance, _IMPORTANCE, "importance")
        whole_number(self.starts, 1, 1000, "starts")
        index_bits = bits * whole_number(self.vector_length, 1, WIDEST_INDEX_BITS, "vector_length")
        if not 1 <= index_bits <= WIDEST_INDEX_BITS:
            raise NumericsError(f"expected at most {WIDEST_INDEX_BITS} bits for the index of {self.vector_length} weights, "
                                f"got {index_bits}", field="bits")
        if index_bits % whole_number(self.stages, 1, WIDEST_INDEX_BITS, "stages"):
            raise NumericsError(f"expected a number that divides the {index_bits} bits of a vector's index, got "
                                f"{self.stages}", field="stages")
        return ProductQuantization.fit(
            weights, vector_length=self.vector_length, index_bits=index_bits // self.stages, stages=self.stages,
            input_gram=input_sums, per_channel=per_channel, starts=self.starts,
            generator=np.random.default_rng(whole_number(self.seed, 0, 2**63, "seed")))

    def lower(self, coded: CodedWeights) -> LoweredWeights:
        assert isinstance(coded, ProductQuantization)
        return coded.lower(entry_bits=self.entry_bits)

    @property
    def needs_inputs(self) -> bool:
        return self.importance == "hessian"

    def sums_of(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """``X' X`` of d neighbouring inputs, over all places, (d, d)."""
        vectors = rows.astype(np.float64).reshape(-1, self.vector_length)
        return np.asarray(vectors.T @ vectors)


@dataclass(frozen=True)
class Binary(CodedFormat):
    """Signs (`binary`)."""

    name = "binary"
    default_bits = 1

    def fit(self, weights: NDArray[Any], *, bits: int, per_channel: bool, input_sums: Sums = None) -> CodedWeights:
        _require_width(bits, self)
        return binary.Binary.fit(weights, per_channel=per_channel)

    def lower(self, coded: CodedWeights) -> LoweredWeights:
        return coded.lower()


@dataclass(frozen=True)
class Ternary(CodedFormat):
    """Signs and zeros (`ternary`)."""

    delta: str = "optimal"

    name = "ternary"
    default_bits = 2

    def fit(self, weights: NDArray[Any], *, bits: int, per_channel: bool, input_sums: Sums = None) -> CodedWeights:
        _require_width(bits, self)
        return ternary.Ternary.fit(weights, delta=cast(ternary.Delta, self.delta), per_channel=per_channel)

    def lower(self, coded: CodedWeights) -> LoweredWeights:
        return coded.lower()


def _require_width(bits: int, own: CodedFormat) -> None:
    """Refuses any width but the one that a format has."""
    if bits != own.default_bits:
        raise NumericsError(f"expected {own.default_bits} for {own.name} weights, got {bits}", field="bits")


WEIGHT_FORMATS: Mapping[str, type[WeightFormat]] = MappingProxyType({each.name: each for each in (
    Uniform, PowerOfTwo, AdditivePowers, BinaryCode, Codebook, Product, Binary, Ternary)})


def weight_format(name: str, options: Mapping[str, object] = MappingProxyType({})) -> WeightFormat:
    """The format of that name, with options as its class has them.

    Raises
    ------
    NumericsError : another name; an option that it does not have, or a value that the option cannot have.

    Examples
    --------
    >>> weight_format("codebook", {"importance": "hessian"})
    Codebook(importance='hessian', entry_bits=8)
    >>> weight_format("codebok")
    Traceback (most recent call last):
    accelsim.errors.NumericsError: format: expected one of uniform, power_of_two, additive_powers, binary_code, codebook, \
product, binary, ternary, got "codebok" (did you mean "codebook"?)
    """
    return named(WEIGHT_FORMATS, name, options, what="format")
