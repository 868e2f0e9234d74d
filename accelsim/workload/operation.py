"""What a layer computes: one small frozen type per kind of operation, with its exact work.

Grid operations (`Convolution`, `MatMul`) are lowered to matrix products and run on the PE grid. All others
run on the vector unit and say how many lane operations they need.

Every operation counts its work in multiply-accumulates (`macs`) or lane operations (`vector_operations`), never in
both. Positions that only see padding count as work, since a grid multiplies them like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from accelsim.errors import WorkloadError
from accelsim.workload.tensor import Shape


def _require(is_true: bool, problem: str) -> None:
    if not is_true:
        raise WorkloadError(problem)


@dataclass(frozen=True, slots=True)
class Convolution:
    """2-D convolution, NCHW; a 1-D one has height 1.

    Parameters
    ----------
    batch, in_channels, out_channels, groups : sizes; channels are those of the whole tensor, over all groups.
    in_size : (H, W) of the input.
    kernel, stride, dilation : (vertical, horizontal).
    pads : (top, left, bottom, right), zero-point padding.
    is_transposed : a deconvolution. It runs as the convolution of the input with ``stride - 1`` zeros between
        neighbours (what an input-dilating grid does), so those zeros count as work.
    output_padding : extra rows and columns at the bottom and right, transposed only.

    Raises
    ------
    WorkloadError : sizes that give no output, channels that groups do not divide.

    Examples
    --------
    >>> stem = Convolution(batch=1, in_channels=3, out_channels=64, in_size=(224, 224), kernel=(7, 7),
    ...                    stride=(2, 2), pads=(3, 3, 3, 3))
    >>> stem.out_size, stem.macs
    ((112, 112), 118013952)
    """

    batch: int
    in_channels: int
    out_channels: int
    in_size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    is_transposed: bool = False
    output_padding: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        sizes = (self.batch, self.in_channels, self.out_channels, self.groups)
        _require(min(*sizes, *self.in_size, *self.kernel, *self.stride, *self.dilation) >= 1,
                 "expected every size of a convolution to be at least 1")
        _require(min(self.pads) >= 0, f"expected pads of at least 0, got {list(self.pads)}")
        _require(self.in_channels % self.groups == 0 and self.out_channels % self.groups == 0,
                 f"expected groups to divide {self.in_channels} input and {self.out_channels} output channels, "
                 f"got {self.groups} groups")
        _require(min(self.out_size) >= 1,
                 f"expected an output of at least 1x1, got {self.out_size[0]}x{self.out_size[1]}")

    @property
    def out_size(self) -> tuple[int, int]:
        """(P, Q) of the output."""
        p, q = (self._out_length(axis) for axis in (0, 1))
        return p, q

    def _out_length(self, axis: int) -> int:
        size, kernel, stride = self.in_size[axis], self.kernel[axis], self.stride[axis]
        reach = self.dilation[axis] * (kernel - 1)
        pad = self.pads[axis] + self.pads[axis + 2]
        if self.is_transposed:
            return (size - 1) * stride - pad + reach + 1 + self.output_padding[axis]
        return (size + pad - reach - 1) // stride + 1

    @property
    def out_shape(self) -> Shape:
        return (self.batch, self.out_channels, *self.out_size)

    @property
    def reduction_length(self) -> int:
        """K: products that one output adds up."""
        return prod(self.kernel) * self.in_channels // self.groups

    @property
    def is_depthwise(self) -> bool:
        return self.groups > 1 and self.groups == self.in_channels

    @property
    def macs(self) -> int:
        return prod(self.out_shape) * self.reduction_length


@dataclass(frozen=True, slots=True)
class MatMul:
    """Batched matrix product: `batch` times (m x k) by (k x n).

    ``has_activation_weights`` says that the second operand is an activation too (attention), so that it is read
    as a tensor of the network and has the activation's width.

    Examples
    --------
    >>> MatMul(batch=12, m=128, k=64, n=128, has_activation_weights=True).macs
    12582912
    """

    m: int
    k: int
    n: int
    batch: int = 1
    has_activation_weights: bool = False

    def __post_init__(self) -> None:
        _require(min(self.m, self.k, self.n, self.batch) >= 1,
                 f"expected matrix sizes of at least 1, got {self.batch} x ({self.m} x {self.k} x {self.n})")

    @property
    def macs(self) -> int:
        return self.batch * self.m * self.k * self.n


#: Lane operations per output element of the element-by-element kinds. A comparison, an addition, a multiplication
#: and a table look-up are one operation each; so is a move.
ELEMENTWISE_OPERATIONS = {
    "add": 1, "sub": 1, "mul": 1, "div": 1, "max": 1, "min": 1, "pow": 1,
    "compare": 1, "logical": 1,
}

#: Activations of one operand: a clamp is one comparison per bound, the others one look-up in a table.
ACTIVATION_OPERATIONS = {
    "relu": 1, "relu6": 2, "clip": 2, "leaky_relu": 2, "prelu": 2, "sigmoid": 1, "tanh": 1, "gelu": 1, "erf": 1,
    "exp": 1, "sqrt": 1, "silu": 1, "hard_sigmoid": 1, "hard_swish": 1, "softplus": 1, "elu": 1, "selu": 1, "mish": 1,
    "reciprocal": 1, "neg": 1, "abs": 1, "log": 1, "sin": 1, "cos": 1, "floor": 1, "ceil": 1, "round": 1, "sign": 1,
    "cast": 1, "compare": 1, "dynamic_quantize": 3,
}

#: Softmax walks a row to find the maximum, subtract, look up exp, add up, and multiply by the reciprocal of the sum.
SOFTMAX_OPERATIONS = 5

#: Passes of the normalizations per element. Layer: sum, subtract mean, square-and-add, multiply, scale, shift.
#: RMS: square-and-add, multiply, scale. Batch (when it cannot be folded): multiply, add. LRN (local response): square,
#: window sum as a sliding add and subtract, power by a table, multiply. L2: square-and-add, multiply.
NORMALIZATION_OPERATIONS = {
    "layer": 6, "rms": 3, "instance": 6, "group": 6, "batch": 2, "lrn": 5, "l2": 2,
}

#: Data movement: each element passes the vector unit once.
MOVE_KINDS = frozenset({
    "concat", "transpose", "slice", "split", "pad", "gather", "expand", "tile", "space_to_depth", "depth_to_space",
    "copy", "scatter",
})


@dataclass(frozen=True, slots=True)
class Pooling:
    """Max or average pooling, one operation per window position (NCHW); global when the window is the image.

    `kind` is ``max`` or ``average``; `out_shape` (N, C, P, Q); `window` elements per output.
    """

    kind: str
    out_shape: Shape
    window: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        _require(self.kind in ("max", "average"), f"expected max or average pooling, got {self.kind}")
        _require(min(self.window) >= 1, "expected a pooling window of at least 1x1")

    @property
    def vector_operations(self) -> int:
        return prod(self.out_shape) * prod(self.window)


@dataclass(frozen=True, slots=True)
class Elementwise:
    """One result per element from `operands` inputs of the same (broadcast) shape: add, mul, ..."""

    kind: str
    out_shape: Shape
    operands: int = 2

    def __post_init__(self) -> None:
        _require(self.kind in ELEMENTWISE_OPERATIONS, f"unknown element-wise operation {self.kind}")

    @property
    def vector_operations(self) -> int:
        return prod(self.out_shape) * ELEMENTWISE_OPERATIONS[self.kind] * max(1, self.operands - 1)


@dataclass(frozen=True, slots=True)
class Activation:
    """A function of one element that could not be fused into its producer."""

    kind: str
    out_shape: Shape

    def __post_init__(self) -> None:
        _require(self.kind in ACTIVATION_OPERATIONS, f"unknown activation {self.kind}")

    @property
    def vector_operations(self) -> int:
        return prod(self.out_shape) * ACTIVATION_OPERATIONS[self.kind]


@dataclass(frozen=True, slots=True)
class Softmax:
    """Softmax over rows of `row_length` elements."""

    out_shape: Shape
    row_length: int

    @property
    def vector_operations(self) -> int:
        return prod(self.out_shape) * SOFTMAX_OPERATIONS


@dataclass(frozen=True, slots=True)
class Normalization:
    """Layer, RMS, instance, group, local-response or unfolded batch normalization."""

    kind: str
    out_shape: Shape
    row_length: int

    def __post_init__(self) -> None:
        _require(self.kind in NORMALIZATION_OPERATIONS, f"unknown normalization {self.kind}")

    @property
    def vector_operations(self) -> int:
        return prod(self.out_shape) * NORMALIZATION_OPERATIONS[self.kind]


@dataclass(frozen=True, slots=True)
class Reduction:
    """Mean, sum, max or min over some axes: one operation per input element."""

    kind: str
    out_shape: Shape
    in_elements: int

    @property
    def vector_operations(self) -> int:
        return self.in_elements


@dataclass(frozen=True, slots=True)
class Resize:
    """Nearest (one move) or linear interpolation (four multiply-adds) per output element."""

    mode: str
    out_shape: Shape

    def __post_init__(self) -> None:
        _require(self.mode in ("nearest", "linear"), f"expected nearest or linear resizing, got {self.mode}")

    @property
    def vector_operations(self) -> int:
        return prod(self.out_shape) * (1 if self.mode == "nearest" else 4)


@dataclass(frozen=True, slots=True)
class Move:
    """Data movement (concat, transpose, slice, pad, gather, ...): reads, rearranges, writes."""

    kind: str
    out_shape: Shape

    def __post_init__(self) -> None:
        _require(self.kind in MOVE_KINDS, f"unknown data movement {self.kind}")

    @property
    def vector_operations(self) -> int:
        return prod(self.out_shape)


GridOperation = Convolution | MatMul
VectorOperation = Pooling | Elementwise | Activation | Softmax | Normalization | Reduction | Resize | Move
Operation = GridOperation | VectorOperation
