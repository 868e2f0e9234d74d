"""What a policy calls a format of weights: how real weights become codes and, for the machine, integers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.quantization.nonuniform.coded_weights import CodedWeights
from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights

#: Widest integers that ONNX has for weights. Source: ONNX Operators.md, DequantizeLinear: int16 (int32 is for biases).
WIDEST_INTEGERS = 16


@dataclass(frozen=True)
class WeightFormat:
    """Base of the formats: their options are the fields.

    Attributes
    ----------
    name : in policies.
    default_bits : of a weight in memory, where a policy says nothing.
    """

    name: ClassVar[str]
    default_bits: ClassVar[int]


@dataclass(frozen=True)
class Uniform(WeightFormat):
    """Integers on a uniform grid: a `Scheme`, a range and a rounding."""

    name = "uniform"
    default_bits = 8


#: Weights on a uniform grid.
UNIFORM = Uniform()


@dataclass(frozen=True)
class CodedFormat(WeightFormat, ABC):
    """Codes of a few bits, one a weight or one for several neighbours, for the PE kinds that take them.

    `bits` is always the width of a weight in memory: of its code, or of its part of a vector's.

    Attributes
    ----------
    vector_length : weights that one code stands for, neighbours along K.
    """

    # No annotation: a subclass may have it as a field.
    vector_length = 1

    @abstractmethod
    def fit(self, weights: NDArray[Any], *, bits: int, per_channel: bool, input_sums: NDArray[Any] | None = None
            ) -> CodedWeights:
        """Codes of weights (G, N, K).

        Parameters
        ----------
        per_channel : a scale for each output channel; one for all otherwise.
        input_sums : the sum of `sums_of` over the layer's inputs, where the format needs them.

        Raises
        ------
        NumericsError : weights that are not finite, widths or options that the format does not have.
        """

    @abstractmethod
    def lower(self, coded: CodedWeights) -> LoweredWeights:
        """What the machine executes for codes of this format."""

    @property
    def needs_inputs(self) -> bool:
        """Whether errors are weighted by the layer's inputs."""
        return False

    def sums_of(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """What the format needs to know of inputs (G, M, K): sums over M, to be added up over batches."""
        raise AssertionError(f"{self.name} does not ask for inputs")

    def lowered(self, weights: NDArray[Any], *, bits: int, per_channel: bool, input_sums: NDArray[Any] | None = None
                ) -> LoweredWeights:
        """Weights (G, N, K) as the machine executes them; arguments as those of `fit`.

        Raises
        ------
        NumericsError : as `fit`; integers that ONNX has no type for.
        """
        lowered = self.lower(self.fit(weights, bits=bits, per_channel=per_channel, input_sums=input_sums))
        if lowered.entry_bits > WIDEST_INTEGERS:
            raise NumericsError(f"expected weights that are integers of at most {WIDEST_INTEGERS} bits, got "
                                f"{lowered.entry_bits}", field="bits")
        return lowered

    def check(self, bits: int) -> None:
        """That the format has this width: it codes one vector.

        Raises
        ------
        NumericsError : names the width, or the option that does not go with it.
        """
        length, sums = self.vector_length, None
        if self.needs_inputs:
            sums = self.sums_of(np.eye(length)[None])
        self.lowered(np.linspace(0.5, 1.0, length).reshape(1, 1, length), bits=bits, per_channel=True, input_sums=sums)
