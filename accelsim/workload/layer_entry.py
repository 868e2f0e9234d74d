"""One entry of a YAML layer list: the keys of each operator, and the operation that they describe.

Every operator reads the layers (or inputs) named by `from`; without `from`, the layer above. Sizes are
numbers or names of parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

from accelsim.errors import WorkloadError
from accelsim.problem import MISSING, quoted
from accelsim.workload.operation import (
    ACTIVATION_OPERATIONS,
    ELEMENTWISE_OPERATIONS,
    Activation,
    Convolution,
    Elementwise,
    MatMul,
    Move,
    Normalization,
    Operation,
    Pooling,
    Reduction,
    Resize,
    Softmax,
)
from accelsim.workload.section import Section
from accelsim.workload.tensor import Shape


@dataclass(frozen=True)
class Draft:
    """What an entry describes, before its tensors have names and widths.

    `operation` is None for a view, which costs nothing. `weights` is the shape of the constant operand,
    `bias` the number of its elements.
    """

    operation: Operation | None
    shape: Shape
    weights: Shape | None = None
    bias: int | None = None


@dataclass(frozen=True)
class LayerEntry:
    """The keys of one layer, the sizes that their parameters stand for, and the shapes of what it reads."""

    section: Section
    parameters: Mapping[str, int]
    inputs: tuple[Shape, ...]

    @property
    def shape(self) -> Shape:
        """Shape of the first input."""
        return self.inputs[0]

    def size(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        if key not in self.section.entries and default is not None:
            return default
        return size_of(self.section.entries[key], self.section, key, self.parameters, least)

    def sizes(self, key: str) -> Shape:
        return tuple(size_of(item, self.section, key, self.parameters, 1) for item in self.section.items(key))

    def pair(self, key: str, default: int | None = None, *, least: int = 1) -> tuple[int, int]:
        """(vertical, horizontal), given as one number for both or as a list of two."""
        given = self.section.entries.get(key)
        if not isinstance(given, list):
            size = self.size(key, default, least=least)
            return size, size
        sizes = [size_of(item, self.section, key, self.parameters, least) for item in given]
        if len(sizes) != 2:
            raise self.section.error(f"expected one size or two, got {len(sizes)}", key)
        return sizes[0], sizes[1]

    def image(self) -> tuple[int, int, tuple[int, int]]:
        """(N, C, (H, W)) of the first input."""
        if len(self.shape) != 4:
            raise self.section.error(f"expected an image (N, C, H, W) to read, got {list(self.shape)}")
        return self.shape[0], self.shape[1], (self.shape[2], self.shape[3])

    def pads(self, kernel: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int, int, int]:
        """One number, [vertical, horizontal], [top, left, bottom, right], or "same".

        "same" gives an output of ceil(input / stride).
        """
        pad = self.section.entries.get("pad", 0)
        if pad == "same" and self.section.text("op") == "conv_transpose":
            raise self.section.error('expected pads in numbers for conv_transpose, got "same"', "pad")
        if pad == "same":
            # Source: TensorFlow, tf.nn.convolution: the odd pixel goes to the bottom and right.
            _, _, size = self.image()
            total = [
                max(0, (-(-length // step) - 1) * step + reach - length)
                for length, step, reach in zip(size, stride, kernel, strict=True)
            ]
            return total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2
        if isinstance(pad, list) and len(pad) == 4:
            top, left, bottom, right = (size_of(item, self.section, "pad", self.parameters, 0) for item in pad)
            return top, left, bottom, right
        vertical, horizontal = self.pair("pad", 0, least=0)
        return vertical, horizontal, vertical, horizontal

    def axis(self, default: int) -> int:
        axis = self.section.entries.get("axis", default)
        rank = len(self.shape)
        if not isinstance(axis, int) or isinstance(axis, bool) or not -rank <= axis < rank:
            raise self.section.error(f"expected an axis of {list(self.shape)}, got {quoted(axis)}", "axis")
        return axis % rank


def size_of(given: object, section: Section, key: str, parameters: Mapping[str, int], least: int) -> int:
    """A number, or the number that a parameter stands for."""
    value = parameters.get(given) if isinstance(given, str) else given
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        known = f" or a parameter ({', '.join(parameters)})" if parameters else ""
        raise section.error(f"expected a whole number of at least {least}{known}, got {quoted(given)}", key)
    return value


def _convolution(entry: LayerEntry) -> Draft:
    batch, channels, size = entry.image()
    op = entry.section.text("op")
    kernel, stride = entry.pair("kernel"), entry.pair("stride", 1)
    is_transposed = op == "conv_transpose"
    groups = channels if op == "depthwise" else entry.size("groups", 1)
    operation = Convolution(
        batch=batch,
        in_channels=channels,
        out_channels=channels if op == "depthwise" else entry.size("filters"),
        in_size=size,
        kernel=kernel,
        stride=stride,
        pads=entry.pads(kernel, stride),
        dilation=entry.pair("dilation", 1),
        groups=groups,
        is_transposed=is_transposed,
        output_padding=entry.pair("output_padding", 0, least=0),
    )
    out = operation.out_channels
    weights = (channels, out // groups, *kernel) if is_transposed else (out, channels // groups, *kernel)
    return Draft(operation, operation.out_shape, weights, out if entry.section.flag("bias", True) else None)


def _linear(entry: LayerEntry) -> Draft:
    """An image is flattened first; other tensors are multiplied along their last dimension."""
    shape = (entry.shape[0], prod(entry.shape[1:])) if len(entry.shape) == 4 else entry.shape
    n = entry.size("features")
    operation = MatMul(m=prod(shape[:-1]), k=shape[-1], n=n)
    return Draft(operation, (*shape[:-1], n), (n, shape[-1]), n if entry.section.flag("bias", True) else None)


def _matmul(entry: LayerEntry) -> Draft:
    """Two activations, as attention multiplies them: with `heads`, features are split into that many heads.

    Scores (`transpose: true`): (N, M, heads * K) with (N, L, key_heads * K) gives (N, heads, M, L).
    Values: (N, heads, M, L) with (N, L, key_heads * V) gives (N, M, heads * V).
    Each of the `key_heads` serves heads / key_heads heads (grouped-query attention).
    """
    heads = entry.size("heads", 1)
    key_heads = entry.size("key_heads", heads)
    left, right = entry.inputs
    is_scores = entry.section.flag("transpose", False)
    if len(right) != 3 or len(left) != (3 if is_scores or "heads" not in entry.section.entries else 4):
        raise entry.section.error(
            f"expected {'(N, M, K) and (N, L, K)' if is_scores else 'scores and (N, L, V)'} "
            f"to read, got {list(left)} and {list(right)}"
        )
    if heads % key_heads or right[2] % key_heads or (is_scores and left[2] % heads):
        raise entry.section.error(
            f"expected heads that divide {left[2]} and {right[2]} features, got {heads} heads "
            f"and {key_heads} key heads"
        )
    m, k = left[-2], left[-1] // heads if is_scores else left[-1]
    inner, n = (right[2] // key_heads, right[1]) if is_scores else (right[1], right[2] // key_heads)
    is_split = len(left) == 4
    if inner != k or left[0] != right[0] or (is_split and left[1] != heads):
        raise entry.section.error(
            f"expected operands that agree in batch, heads and inner size, got {list(left)} and {list(right)}"
        )
    operation = MatMul(
        m=m * heads // key_heads, k=k, n=n, batch=left[0] * key_heads, has_activation_weights=True
    )
    if is_scores and "heads" in entry.section.entries:
        return Draft(operation, (left[0], heads, m, n))
    return Draft(operation, (left[0], m, heads * n))


def _pool(entry: LayerEntry) -> Draft:
    batch, channels, size = entry.image()
    kind = entry.section.choice("kind", ("max", "average", "global"))
    if kind == "global":
        return Draft(Pooling("average", (batch, channels, 1, 1), window=size), (batch, channels, 1, 1))
    if "kernel" not in entry.section.entries:
        raise entry.section.error(MISSING, "kernel")
    window = entry.pair("kernel")
    stride = entry.pair("stride") if "stride" in entry.section.entries else window
    pads = entry.pads(window, stride)
    # The window's arithmetic is that of a convolution with one filter a channel.
    shape = Convolution(
        batch=batch,
        in_channels=channels,
        out_channels=channels,
        in_size=size,
        kernel=window,
        stride=stride,
        pads=pads,
        groups=channels,
    ).out_shape
    return Draft(Pooling(kind, shape, window=window, stride=stride, pads=pads), shape)


def _elementwise(entry: LayerEntry) -> Draft:
    constant = entry.sizes("constant") if "constant" in entry.section.entries else None
    shapes = [*entry.inputs, *([constant] if constant is not None else [])]
    if len(shapes) < 2:
        raise entry.section.error("expected two operands (from: [a, b], or a constant's shape), got one")
    shape = _broadcast(shapes, entry)
    return Draft(Elementwise(entry.section.text("op"), shape, operands=len(shapes)), shape, weights=constant)


def _broadcast(shapes: list[Shape], entry: LayerEntry) -> Shape:
    rank = max(len(shape) for shape in shapes)
    aligned = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    for sizes in zip(*aligned, strict=True):
        if len({size for size in sizes if size != 1}) > 1:
            raise entry.section.error(
                "expected operands of one shape, got " + " and ".join(str(list(s)) for s in shapes)
            )
    return tuple(max(sizes) for sizes in zip(*aligned, strict=True))


def _concat(entry: LayerEntry) -> Draft:
    """A constant part has dimensions of 1 where it is repeated (a class token for every image)."""
    axis = entry.axis(1)
    shapes = list(entry.inputs)
    constant = entry.sizes("constant") if "constant" in entry.section.entries else None
    if constant is not None:
        if len(constant) != len(entry.shape):
            raise entry.section.error(
                f"expected {len(entry.shape)} dimensions, got {list(constant)}", "constant"
            )
        shapes.append(
            tuple(
                whole if part == 1 and index != axis else part
                for index, (part, whole) in enumerate(zip(constant, entry.shape, strict=True))
            )
        )
    if len({(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}) != 1:
        found = " and ".join(str(list(shape)) for shape in shapes)
        raise entry.section.error(f"expected shapes that differ along axis {axis} alone, got {found}")
    total = sum(shape[axis] for shape in shapes)
    shape = (*entry.shape[:axis], total, *entry.shape[axis + 1 :])
    return Draft(Move("concat", shape), shape, weights=constant)


def _softmax(entry: LayerEntry) -> Draft:
    return Draft(Softmax(entry.shape, row_length=entry.shape[-1]), entry.shape)


def _normalization(entry: LayerEntry) -> Draft:
    kind = entry.section.text("op").removesuffix("_norm")
    if kind in ("layer", "rms"):
        row = entry.shape[-1]
        return Draft(
            Normalization(kind, entry.shape, row_length=row),
            entry.shape,
            weights=(2, row) if kind == "layer" else (row,),
        )
    _, channels, _ = entry.image()
    if kind == "batch":
        return Draft(
            Normalization(kind, entry.shape, row_length=channels), entry.shape, weights=(2, channels)
        )
    return Draft(Normalization(kind, entry.shape, row_length=entry.size("size")), entry.shape)


def _activation(entry: LayerEntry) -> Draft:
    return Draft(Activation(entry.section.choice("kind", ACTIVATION_OPERATIONS), entry.shape), entry.shape)


def _resize(entry: LayerEntry) -> Draft:
    batch, channels, size = entry.image()
    scale = entry.pair("scale")
    shape = (batch, channels, size[0] * scale[0], size[1] * scale[1])
    return Draft(Resize(entry.section.choice("mode", ("nearest", "linear"), "nearest"), shape), shape)


def _reduce(entry: LayerEntry) -> Draft:
    axis = entry.axis(-1)
    shape = (*entry.shape[:axis], *entry.shape[axis + 1 :])
    kind = entry.section.choice("kind", ("mean", "sum", "max", "min"))
    return Draft(Reduction(kind, shape, in_elements=prod(entry.shape)), shape)


def _embedding(entry: LayerEntry) -> Draft:
    """Reads one row of the table for each index; the table as a whole (`rows`) never leaves DRAM."""
    shape = (*entry.shape, entry.size("features"))
    entry.size("rows")
    return Draft(Move("gather", shape), shape, weights=shape)


def _transpose(entry: LayerEntry) -> Draft:
    order = tuple(size_of(item, entry.section, "order", {}, 0) for item in entry.section.items("order"))
    if sorted(order) != list(range(len(entry.shape))):
        raise entry.section.error(f"expected an order of {len(entry.shape)} axes, got {list(order)}", "order")
    shape = tuple(entry.shape[axis] for axis in order)
    return Draft(Move("transpose", shape), shape)


def _slice(entry: LayerEntry) -> Draft:
    axis, size = entry.axis(1), entry.size("size")
    if size > entry.shape[axis]:
        raise entry.section.error(f"expected at most {entry.shape[axis]}, got {size}", "size")
    shape = (*entry.shape[:axis], size, *entry.shape[axis + 1 :])
    return Draft(Move("slice", shape), shape)


def _reshape(entry: LayerEntry) -> Draft:
    shape = entry.sizes("shape")
    if prod(shape) != prod(entry.shape):
        raise entry.section.error(
            f"expected the {prod(entry.shape)} elements of {list(entry.shape)}, got {list(shape)}", "shape"
        )
    return Draft(None, shape)


@dataclass(frozen=True)
class Operator:
    """An operator: its keys beside name, op, from, bits and output, and how many layers it reads."""

    draft: Callable[[LayerEntry], Draft]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    reads: tuple[int, int] = (1, 1)


_WINDOW = ("stride", "pad")
_CONV = (*_WINDOW, "dilation", "bias", "activation")
_MANY = (1, 16)

OPERATORS: dict[str, Operator] = {
    "conv": Operator(_convolution, ("filters", "kernel"), (*_CONV, "groups")),
    "depthwise": Operator(_convolution, ("kernel",), _CONV),
    "conv_transpose": Operator(_convolution, ("filters", "kernel"), (*_CONV, "groups", "output_padding")),
    "linear": Operator(_linear, ("features",), ("bias", "activation")),
    "matmul": Operator(_matmul, (), ("heads", "key_heads", "transpose"), (2, 2)),
    "pool": Operator(_pool, ("kind",), ("kernel", *_WINDOW)),
    **dict.fromkeys(ELEMENTWISE_OPERATIONS, Operator(_elementwise, (), ("constant", "activation"), _MANY)),
    "concat": Operator(_concat, (), ("axis", "constant"), _MANY),
    "softmax": Operator(_softmax),
    "layer_norm": Operator(_normalization),
    "rms_norm": Operator(_normalization),
    "batch_norm": Operator(_normalization, (), ("activation",)),
    "lrn_norm": Operator(_normalization, ("size",)),
    "activation": Operator(_activation, ("kind",)),
    "resize": Operator(_resize, ("scale",), ("mode",)),
    "reduce": Operator(_reduce, ("kind",), ("axis",)),
    "embedding": Operator(_embedding, ("rows", "features")),
    "transpose": Operator(_transpose, ("order",)),
    "slice": Operator(_slice, ("size",), ("axis",)),
    "reshape": Operator(_reshape, ("shape",)),
}


def draft_layer(entry: LayerEntry) -> Draft:
    """The operation of an entry whose keys have been checked, with its place in every message."""
    try:
        return OPERATORS[entry.section.text("op")].draft(entry)
    except WorkloadError as error:
        if error.file:
            raise
        raise entry.section.error(error.problem) from None
