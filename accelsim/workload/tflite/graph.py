"""The graph of a TFLite model as plain values: tensors, operators in the order in which they run, inputs and outputs.

Tensors are known by their number in the model, which is also how LiteRT knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.workload.tensor import Shape
from accelsim.workload.tflite.schema import ElementType

#: The number of an input that is left out.
ABSENT = -1


@dataclass(frozen=True, eq=False)
class TfliteTensor:
    """A tensor as the model states it.

    Parameters
    ----------
    index : its number.
    name : the model's own, which need not be unique.
    shape : as it would run; sizes below 1 are not known before the run.
    signature : the same with -1 for sizes that may change; () where it says nothing.
    type : of its elements.
    data : the bytes of a constant, read-only; None for a tensor that is computed or comes from outside.
    scales, zero_points : of its integers: none, one, or one each index of the dimension `quantized_dimension`.
    scale_block : elements of a row of weights that share a scale; 0 where scales are a tensor's or a channel's.
    obstacle : why its integers are not plain ones (sparse, scales a block, data in another file); "" for plain ones.
    """

    index: int
    name: str
    shape: Shape
    signature: Shape
    type: ElementType
    data: NDArray[np.uint8] | None = None
    scales: NDArray[np.float32] | None = None
    zero_points: NDArray[np.int64] | None = None
    quantized_dimension: int = 0
    scale_block: int = 0
    obstacle: str = ""

    @property
    def has_zero_point(self) -> bool:
        """Whether some zero point is not 0."""
        return self.zero_points is not None and bool(np.any(self.zero_points != 0))

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def is_sized(self) -> bool:
        """Whether its shape is known before the run."""
        return all(size >= 1 for size in self.shape)


@dataclass(frozen=True)
class TfliteOperator:
    """One operator.

    Parameters
    ----------
    index : its place in the order.
    op : TFLite's name of it ("CONV_2D"), or of a custom operator its own name.
    inputs, outputs : numbers of tensors; `ABSENT` for an input that is left out.
    options : by name, with the schema's defaults (`schema.OPTIONS`).
    """

    index: int
    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What messages and layers call it.

        >>> TfliteOperator(3, "CONV_2D", (0, 1, 2), (3,)).label
        'conv_2d_3'
        """
        return f"{self.op.lower()}_{self.index}"

    def input(self, position: int) -> int:
        """The number of an input, `ABSENT` where it is left out."""
        return self.inputs[position] if position < len(self.inputs) else ABSENT

    def given(self) -> tuple[int, ...]:
        """The inputs that are not left out."""
        return tuple(tensor for tensor in self.inputs if tensor != ABSENT)


@dataclass(frozen=True)
class TfliteGraph:
    """The main graph of a model; `tensors` by their numbers, `operators` in the order in which they run."""

    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @cached_property
    def input_set(self) -> frozenset[int]:
        return frozenset(self.inputs)
