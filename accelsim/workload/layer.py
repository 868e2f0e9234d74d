"""One layer: an operation, the tensors it reads and the one that it writes."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.errors import WorkloadError
from accelsim.workload.operation import Convolution, MatMul, Operation
from accelsim.workload.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Layer:
    """A step of the network that the accelerator executes as a whole.

    Parameters
    ----------
    name : unique within its network.
    operation : what it computes.
    inputs : the activations that it reads, in the operation's order. A grid layer's first input is streamed; for a
        `MatMul` of two activations the second input plays the weights.
    output : the tensor that it writes.
    weights : the constant operand, or None.
    bias : one element per output channel (accumulator width), or None. Vector layers have none: what they read
        beside their inputs (scales, tables) is their `weights`.
    fused : names of the activations that the requantizer applies on the way out ("relu", "relu6", "clip").
    has_asymmetric_weights : whether the weights have a zero point z_w other than 0, so that z_w * sum(x) is subtracted from
        every output of the run.
    has_dynamic_range : whether the output's scale is found during the run, from the smallest and largest accumulator.
    weight_scale_groups : scales per output channel: K is cut into so many runs of equal length (the last may be shorter),
        each with a scale of its own, so that its partial sum is scaled before it is added.

    Raises
    ------
    WorkloadError : one of the last three for a layer off the grid; a number of groups into which K cannot be cut.

    Examples
    --------
    >>> x, w, y = Tensor("x", (1, 64), 8), Tensor("w", (10, 64), 8, is_constant=True), Tensor("y", (1, 10), 8)
    >>> Layer("fc", MatMul(m=1, k=64, n=10), (x,), y, weights=w).macs
    640
    """

    name: str
    operation: Operation
    inputs: tuple[Tensor, ...]
    output: Tensor
    weights: Tensor | None = None
    bias: Tensor | None = None
    fused: tuple[str, ...] = ()
    has_asymmetric_weights: bool = False
    has_dynamic_range: bool = False
    weight_scale_groups: int = 1

    def __post_init__(self) -> None:
        if not self.is_on_grid:
            for field, is_set in (("has_asymmetric_weights", self.has_asymmetric_weights),
                                  ("has_dynamic_range", self.has_dynamic_range),
                                  ("weight_scale_groups", self.weight_scale_groups != 1)):
                if is_set:
                    raise WorkloadError(f"expected no {field} for a layer without a matrix product, got {self.kind}",
                                        field=self.name)
            return
        steps, groups = self.reduction_length, self.weight_scale_groups
        if not 1 <= groups <= steps or -(-steps // -(-steps // groups)) != groups:
            raise WorkloadError(f"expected weight_scale_groups that cut {steps} reduction steps into equal runs and a rest, "
                                f"got {groups}", field=self.name)

    @property
    def kind(self) -> str:
        """The word that reports show: conv, depthwise, matmul, pooling, elementwise, ..."""
        if isinstance(self.operation, Convolution):
            if self.operation.is_transposed:
                return "conv_transpose"
            return "depthwise" if self.operation.is_depthwise else "conv"
        return type(self.operation).__name__.lower()

    @property
    def is_on_grid(self) -> bool:
        return isinstance(self.operation, Convolution | MatMul)

    @property
    def macs(self) -> int:
        return self.operation.macs if isinstance(self.operation, Convolution | MatMul) else 0

    @property
    def reduction_length(self) -> int:
        """K: products that one output adds up; 0 off the grid."""
        if isinstance(self.operation, MatMul):
            return self.operation.k
        return self.operation.reduction_length if isinstance(self.operation, Convolution) else 0

    @property
    def vector_operations(self) -> int:
        return 0 if isinstance(self.operation, Convolution | MatMul) else self.operation.vector_operations

    @property
    def streamed(self) -> Tensor:
        """The grid operand that flows by positions: always the first input."""
        return self.inputs[0]

    @property
    def stationary(self) -> Tensor:
        """The grid operand that plays the weights: a constant, or the second activation of an attention product."""
        return self.weights if self.weights is not None else self.inputs[1]

    @property
    def weight_bits(self) -> int:
        """Width of the weights' side; the first input's for a layer without one."""
        if self.weights is not None:
            return self.weights.bits
        return self.inputs[1].bits if len(self.inputs) > 1 else self.inputs[0].bits

    @property
    def input_bits(self) -> int:
        return self.inputs[0].bits

    @property
    def shape_text(self) -> str:
        """Sizes in words for reports: "3x224x224 -> 64x112x112, 7x7/2".

        >>> x, y = Tensor("x", (1, 8, 4, 4), 8), Tensor("y", (1, 16, 2, 2), 8)
        >>> Layer("c", Convolution(1, 8, 16, (4, 4), (3, 3), (2, 2), (1, 1, 1, 1)), (x,), y).shape_text
        '8x4x4 -> 16x2x2, 3x3/2'
        """
        operation = self.operation
        if isinstance(operation, MatMul):
            batch = f"{operation.batch} x " if operation.batch > 1 else ""
            return f"{batch}{operation.m}x{operation.k} . {operation.k}x{operation.n}"
        text = f"{_dimensions(self.inputs[0].shape)} -> {_dimensions(self.output.shape)}"
        if isinstance(operation, Convolution):
            text += f", {operation.kernel[0]}x{operation.kernel[1]}"
            text += f"/{operation.stride[0]}" if operation.stride[0] > 1 else ""
            text += f", {operation.groups} groups" if operation.groups > 1 and not operation.is_depthwise else ""
        return text


def _dimensions(shape: tuple[int, ...]) -> str:
    """A shape without a batch of 1."""
    shown = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
    return "x".join(str(size) for size in shown) or "scalar"
