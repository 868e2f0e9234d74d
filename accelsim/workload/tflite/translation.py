"""The state of one import: layers so far with what they compute, which tensors are views of which.

The translators of single operators (`grid_operators`, `vector_operators`, `moves`) read and extend it;
it dies with the import. A layer's kernel is a function without parameters, called only where its integers are wanted: timing
never looks at weights and scales.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.kernel import Kernel
from accelsim.numerics.qparams import QParams
from accelsim.workload.layer import Layer
from accelsim.workload.operation import Elementwise, Move, Operation, Pooling
from accelsim.workload.tensor import Shape, Tensor
from accelsim.workload.tflite.graph import ABSENT, TfliteGraph, TfliteOperator, TfliteTensor
from accelsim.workload.tflite.quantization import activation_parameters, integers_of
from accelsim.workload.tflite.schema import ACTIVATIONS
from accelsim.workload.tflite.views import constant_tensors, image_tensors, live_operators, view_of

#: Accumulator-wide constants that are floating-point in the model.
BIAS_BITS = 32

# Integers wider than this are indices and sizes, not weights.
LARGEST_WEIGHT_BITS = 16

_KEEPING_WIDTH = (Pooling, Move)

#: Makes the kernel of a layer; raises the project's errors where its integers are wrong.
KernelMaker = Callable[[], GridKernel | Kernel]


class NotSimulated(Exception):
    """A translator met a form of its operator that the machine does not execute."""


@dataclass(frozen=True)
class Draft:
    """A layer on its way: the operator, what it reads and writes by the model's numbers, and how its kernel is made.

    `input_shapes` are in the model's layout, as the layer sees its inputs.
    """

    layer: Layer
    operator: TfliteOperator
    inputs: tuple[int, ...]
    input_shapes: tuple[Shape, ...]
    output: int
    kernel: KernelMaker


class Translation:
    """Builds layers from operators.

    Parameters
    ----------
    graph : of the model.
    path : of the model, for messages.
    weight_bits, input_bits : widths of tensors that are floating-point in the model.
    """

    def __init__(self, graph: TfliteGraph, path: Path, *, weight_bits: int, input_bits: int) -> None:
        self.graph = graph
        self.path = path
        self.weight_bits = weight_bits
        self.input_bits = input_bits
        self.unsupported: Counter[str] = Counter()
        self.drafts: list[Draft] = []
        self.constants = constant_tensors(graph)
        self.operators = live_operators(graph, self.constants)
        self._roots = list(range(len(graph.tensors)))
        for operator in self.operators:
            source = self.view_source(operator)
            if source is not None:
                self._roots[operator.outputs[0]] = self._roots[source]
        self._images = image_tensors(self.operators, graph, self.constants)
        self._widths = self._root_widths()
        self._names = _unique_names(graph.tensors)
        self._tensors: dict[int, Tensor] = {}
        self._written: set[int] = set()

    def _root_widths(self) -> dict[int, int]:
        widths: dict[int, int] = {}
        for tensor in self.graph.tensors:
            if not tensor.type.is_float:
                root = self._roots[tensor.index]
                widths[root] = max(tensor.type.bits, widths.get(root, 0))
        return widths

    @property
    def outputs(self) -> tuple[str, ...]:
        """Tensors that leave the network, as its layers call them."""
        left = dict.fromkeys(self._roots[tensor] for tensor in self.graph.outputs)
        return tuple(self._names[root] for root in left if root in self._written)

    def tensor(self, number: int) -> TfliteTensor:
        return self.graph.tensors[number]

    def shape(self, number: int) -> Shape:
        """In the model's layout."""
        return self.graph.tensors[number].shape

    def network_shape(self, number: int) -> Shape:
        """NCHW for an image, as in the model for everything else."""
        shape = self.shape(number)
        return (shape[0], shape[3], shape[1], shape[2]) if number in self._images else shape

    def name(self, number: int) -> str:
        """The model's name of a tensor, with its number behind it from the second of that name on."""
        return self._names[number]

    def root(self, number: int) -> int:
        """The tensor that a tensor is a view of."""
        return self._roots[number]

    def is_written(self, number: int) -> bool:
        """Whether a layer writes the tensor or what it is a view of."""
        return self._roots[number] in self._written

    def is_constant(self, number: int) -> bool:
        return number in self.constants

    def view_source(self, operator: TfliteOperator) -> int | None:
        """The tensor that the operator's output is a view of; None if it is none."""
        order = self.operand(operator, 1) if operator.op == "TRANSPOSE" else None
        return view_of(operator, self.graph, order)

    def operand(self, operator: TfliteOperator, position: int) -> tuple[int, ...] | None:
        """The integers of a small constant operand (axes, sizes, an order); None where they are not known.

        Raises
        ------
        WorkloadError : not as many bytes as its shape says.
        """
        number = operator.input(position)
        if number == ABSENT or number not in self.constants:
            return None
        tensor = self.graph.tensors[number]
        if tensor.data is None and 0 not in tensor.shape:
            return None
        try:
            return tuple(integers_of(tensor).reshape(-1).tolist())
        except WorkloadError as error:
            raise WorkloadError(error.problem, file=str(self.path), field=error.field) from None

    def required(self, operator: TfliteOperator, position: int) -> tuple[int, ...]:
        """The integers of an operand that must be known to compute anything."""
        found = self.operand(operator, position)
        if found is None:
            raise self.error(f"expected a constant input {position}, got one that is computed", operator)
        return found

    def integers(self, number: int) -> NDArray[Any]:
        """The integers of a constant in its shape."""
        tensor = self.graph.tensors[number]
        if tensor.data is None:
            raise WorkloadError("expected a constant of the model, got a computed one", field=f'tensor "{tensor.name}"')
        return integers_of(tensor)

    def parameters(self, number: int) -> QParams:
        """Scale and zero point of an activation."""
        return activation_parameters(self.graph.tensors[number])

    def activation(self, number: int) -> Tensor:
        """The tensor that a layer reads under this number; one that no layer writes comes from outside."""
        root = self._roots[number]
        if root not in self._tensors:
            width = self._widths.get(root, self.input_bits)
            self._tensors[root] = Tensor(self._names[root], self.network_shape(root), width)
        return self._tensors[root]

    def constant(self, number: int, *, shape: Shape | None = None) -> Tensor:
        """A constant operand, as wide as its integers in the model; `weight_bits` if floating-point."""
        stated = self.constants[number]
        bits = stated if stated is not None and stated <= LARGEST_WEIGHT_BITS else self.weight_bits
        return Tensor(self._names[number], self.shape(number) if shape is None else shape, bits, is_constant=True)

    def bias(self, number: int, channels: int) -> Tensor:
        """One element a channel, as wide as in the model."""
        return Tensor(self._names[number], (channels,), self.constants[number] or BIAS_BITS, is_constant=True)

    def fused(self, operator: TfliteOperator) -> str:
        """The operator's own activation, "" for none.

        Raises
        ------
        NotSimulated : one that TFLite's own kernels do not know either.
        """
        number = operator.options["activation"]
        if not 0 <= number < len(ACTIVATIONS) or ACTIVATIONS[number] in ("tanh", "sign_bit"):
            raise NotSimulated(f"the fused activation {number}")
        return ACTIVATIONS[number]

    def emit(
        self,
        operator: TfliteOperator,
        operation: Operation,
        inputs: Sequence[int],
        kernel: KernelMaker,
        *,
        output: int = 0,
        weights: Tensor | None = None,
        bias: Tensor | None = None,
        fused: str = "",
        input_shapes: tuple[Shape, ...] | None = None,
        stationary: int = ABSENT,
    ) -> None:
        """Adds the layer that writes one of the operator's outputs.

        Parameters
        ----------
        inputs : the activations that it reads.
        output : which of the operator's outputs.
        fused : an activation of `schema.ACTIVATIONS`.
        input_shapes : how it sees its inputs, in the model's layout; None is as the model states them.
        stationary : of a layer on the grid: the tensor that plays the weights.
        """
        read = tuple(self.activation(number) for number in inputs)
        written = operator.outputs[output]
        is_embedding = isinstance(operation, Move) and operation.kind == "gather" and weights is not None
        keeps_width = isinstance(operation, _KEEPING_WIDTH) and read and not is_embedding
        width = self._widths.get(written, read[0].bits if keeps_width else self.input_bits)
        tensor = Tensor(self._names[written], self.network_shape(written), width)
        name = operator.label if len(operator.outputs) == 1 else f"{operator.label}_{output}"
        words = ("clip" if fused == "relu_n1_to_1" else fused,) if fused else ()
        held = self.graph.tensors[stationary] if stationary != ABSENT else None
        layer = Layer(name, operation, read, tensor, weights=weights, bias=bias, fused=words,
                      has_asymmetric_weights=held is not None and held.has_zero_point,
                      weight_scale_groups=-(-held.shape[-1] // held.scale_block) if held and held.scale_block else 1)
        shapes = tuple(self.shape(number) for number in inputs) if input_shapes is None else input_shapes
        self.drafts.append(Draft(layer, operator, tuple(inputs), shapes, written, kernel))
        self._written.add(written)
        self._tensors[written] = tensor

    def emit_elementwise(self, operator: TfliteOperator, kind: str, kernel: KernelMaker, *, fused: str = "") -> None:
        """Adds an element-by-element layer; the largest constant operand is its weights."""
        operands = operator.given()
        constants = [number for number in operands if self.is_constant(number)]
        largest = max(constants, key=lambda number: prod(self.shape(number)), default=ABSENT)
        read = [number for number in operands if not self.is_constant(number)]
        operation = Elementwise(kind, self.network_shape(operator.outputs[0]), operands=max(2, len(operands)))
        self.emit(operator, operation, read, kernel, fused=fused,
                  weights=None if largest == ABSENT else self.constant(largest))

    def require_output(self, operator: TfliteOperator, expected: Sequence[int], output: int = 0) -> None:
        """That the model states the shape that the operator gives.

        Raises
        ------
        WorkloadError : it states another one (also where sizes are not known before the run).
        """
        stated = self.shape(operator.outputs[output])
        if tuple(expected) != stated:
            raise self.error(f"expected an output of shape {list(expected)}, got {list(stated)}", operator)

    def error(self, problem: str, operator: TfliteOperator) -> WorkloadError:
        return WorkloadError(problem, file=str(self.path), field=operator.label)


def _unique_names(tensors: Sequence[TfliteTensor]) -> list[str]:
    """The names, with the tensor's number behind those that stand before it already."""
    names: list[str] = []
    taken: set[str] = set()
    for tensor in tensors:
        name = tensor.name
        while name in taken:
            name = f"{name}_{tensor.index}"
        taken.add(name)
        names.append(name)
    return names


def broadcast(*shapes: Shape) -> Shape | None:
    """The shape of an element-by-element result; None if the operands do not fit.

    >>> broadcast((1, 4, 1), (3,)), broadcast((2,), (3,))
    ((1, 4, 3), None)
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None
