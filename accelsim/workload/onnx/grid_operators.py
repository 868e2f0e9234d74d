"""Translators of the ONNX operators that run on the PE grid: convolutions and matrix products."""

from __future__ import annotations

from math import prod

from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.stationary import Stationary
from accelsim.workload.onnx.translation import NotSimulated, Translation
from accelsim.workload.operation import Convolution, MatMul, Move
from accelsim.workload.tensor import Shape, Tensor

_Pair = tuple[int, int]


def convolution(node: Node, translation: Translation) -> None:
    """Conv: 1-D as height 1, or 2-D; a zero `Pad` that only this node reads folds into the pads."""
    source, weights, bias = _operands(node, translation)
    shape = translation.shape(source)
    batch, channels, size = _image(shape)
    _, _, kernel = _image(weights.shape)
    stride, dilation = _pair(node, "strides"), _pair(node, "dilations")
    pads = window_pads(node, size, kernel, stride, dilation)
    groups = node.integer("group", 1)
    if channels != weights.shape[1] * groups:
        raise translation.error(
            f"expected {weights.shape[1] * groups} input channels for weights of "
            f"{list(weights.shape)} in {groups} groups, got {channels}",
            node,
        )
    folded = _folded_pad(node, translation)
    if folded is not None:
        source, extra = folded
        _, _, size = _image(translation.shape(source))
        pads = (pads[0] + extra[0], pads[1] + extra[1], pads[2] + extra[2], pads[3] + extra[3])
    operation = Convolution(
        batch=batch,
        in_channels=channels,
        out_channels=weights.shape[0],
        in_size=size,
        kernel=kernel,
        stride=stride,
        pads=pads,
        dilation=dilation,
        groups=groups,
    )
    translation.emit(node, operation, (source,), weights=weights, bias=bias, stationary=Stationary(node, 1, inner_axis=1))


def transposed_convolution(node: Node, translation: Translation) -> None:
    """ConvTranspose; `output_shape` and `auto_pad` give the pads as the operator's specification says."""
    source, weights, bias = _operands(node, translation)
    batch, channels, size = _image(translation.shape(source))
    _, _, kernel = _image(weights.shape)
    groups = node.integer("group", 1)
    stride, dilation = _pair(node, "strides"), _pair(node, "dilations")
    extra = _pair(node, "output_padding", 0)
    pads = _explicit_pads(node)
    wanted = node.integers("output_shape")[-2:]
    mode = node.attribute("auto_pad", "NOTSET")
    if not wanted and mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = tuple(length * step for length, step in zip(size, stride, strict=True))
    if wanted:
        target = (1, wanted[0]) if len(wanted) == 1 else (wanted[0], wanted[1])
        pads, extra = _transposed_pads(size, kernel, stride, dilation, extra, target, mode == "SAME_UPPER")
    if channels != weights.shape[0]:
        raise translation.error(f"expected {weights.shape[0]} input channels, got {channels}", node)
    operation = Convolution(
        batch=batch,
        in_channels=channels,
        out_channels=weights.shape[1] * groups,
        in_size=size,
        kernel=kernel,
        stride=stride,
        pads=pads,
        dilation=dilation,
        groups=groups,
        is_transposed=True,
        output_padding=extra,
    )
    translation.emit(node, operation, (source,), weights=weights, bias=bias, stationary=Stationary(node, 1, inner_axis=0))


def _operands(node: Node, translation: Translation) -> tuple[str, Tensor, Tensor | None]:
    """Input name, weights and bias of a convolution with constant parameters."""
    if not translation.is_constant(node.inputs[1]) or (node.input(2) and not translation.is_constant(node.input(2))):
        raise NotSimulated("a convolution whose weights are computed")
    weights = translation.constant(node.inputs[1])
    if len(weights.shape) != len(translation.shape(node.inputs[0])):
        raise translation.error(
            f"expected an input of {len(weights.shape)} dimensions, got {list(translation.shape(node.inputs[0]))}", node
        )
    channels = weights.shape[1] * node.integer("group", 1) if node.op == "ConvTranspose" else weights.shape[0]
    bias = translation.bias(node.inputs[2], channels) if node.input(2) else None
    return node.inputs[0], weights, bias


def _image(shape: Shape) -> tuple[int, int, _Pair]:
    """First two dimensions and (height, width) of a 3-D or 4-D shape."""
    if len(shape) == 3:
        return shape[0], shape[1], (1, shape[2])
    if len(shape) == 4:
        return shape[0], shape[1], (shape[2], shape[3])
    raise NotSimulated("a convolution that is not 1-D or 2-D")


def _pair(node: Node, name: str, default: int = 1) -> _Pair:
    values = node.integers(name)
    if len(values) == 1:
        return default, values[0]
    return (values[0], values[1]) if len(values) == 2 else (default, default)


def _explicit_pads(node: Node) -> tuple[int, int, int, int]:
    pads = node.integers("pads")
    if len(pads) == 2:
        return 0, pads[0], 0, pads[1]
    return (pads[0], pads[1], pads[2], pads[3]) if len(pads) == 4 else (0, 0, 0, 0)


def window_pads(node: Node, size: _Pair, kernel: _Pair, stride: _Pair, dilation: _Pair) -> tuple[int, int, int, int]:
    """Pads as given, or as `auto_pad` SAME asks: output = ceil(input / stride), the odd one last if UPPER."""
    mode = node.attribute("auto_pad", "NOTSET")
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        return _explicit_pads(node) if mode == "NOTSET" else (0, 0, 0, 0)
    before, after = [], []
    for axis in (0, 1):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        total = max(0, (-(-size[axis] // stride[axis]) - 1) * stride[axis] + reach - size[axis])
        small, large = total // 2, total - total // 2
        before.append(small if mode == "SAME_UPPER" else large)
        after.append(large if mode == "SAME_UPPER" else small)
    return before[0], before[1], after[0], after[1]


def _transposed_pads(
    size: _Pair, kernel: _Pair, stride: _Pair, dilation: _Pair, extra: _Pair, wanted: _Pair, is_upper: bool
) -> tuple[tuple[int, int, int, int], _Pair]:
    # Source: ONNX Operators.md, ConvTranspose: total_padding = stride * (input - 1) + output_padding +
    # ((kernel - 1) * dilation + 1) - output_shape; SAME_UPPER puts the smaller half first, all others the
    # larger.
    before, after, grown = [], [], []
    for axis in (0, 1):
        full = stride[axis] * (size[axis] - 1) + extra[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        total = max(0, full - wanted[axis])
        grown.append(extra[axis] + max(0, wanted[axis] - full))
        before.append(total // 2 if is_upper else total - total // 2)
        after.append(total - before[-1])
    return (before[0], before[1], after[0], after[1]), (grown[0], grown[1])


def _folded_pad(node: Node, translation: Translation) -> tuple[str, tuple[int, int, int, int]] | None:
    """Input and pads of a `Pad` of the image's borders by zeros that nothing else reads; takes its layer back."""
    source = node.inputs[0]
    layer = translation.sole_producer(source)
    if layer is None or not isinstance(layer.operation, Move) or layer.output.name not in translation.image_pads:
        return None
    unpadded, pads, fill = translation.image_pads[layer.output.name]
    if translation.shape(source) != layer.output.shape or fill != translation.zero(node):
        return None
    translation.withdraw(layer)
    return unpadded, pads


def matrix_product(node: Node, translation: Translation) -> None:
    """MatMul of N-D operands, with constant or computed right (or left) operand."""
    left, right = node.inputs[0], node.inputs[1]
    a, b = _as_matrix(translation.shape(left), 0), _as_matrix(translation.shape(right), 1)
    if a[-1] != b[-2]:
        raise translation.error(f"expected operands that agree in the inner size, got {list(a)} and {list(b)}", node)
    if translation.is_constant(left):
        _emit_product(node, translation, right, left, (b[:-2], b[-1], a[:-2], a[-2]), a[-1])
    else:
        _emit_product(node, translation, left, right, (a[:-2], a[-2], b[:-2], b[-1]), a[-1])


def _as_matrix(shape: Shape, axis: int) -> Shape:
    """A vector on the left is a row, one on the right a column."""
    if len(shape) >= 2:
        return shape
    if not shape:
        raise NotSimulated("a product with a scalar")
    return (1, *shape) if axis == 0 else (*shape, 1)


def _emit_product(
    node: Node, translation: Translation, streamed: str, stationary: str, sizes: tuple[Shape, int, Shape, int], k: int
) -> None:
    """Positions of the streamed operand that share a stationary matrix fold into m.

    `sizes`: leading dimensions and rows of the streamed operand, leading dimensions and columns of the
    stationary one.
    """
    streamed_batch, rows, stationary_batch, n = sizes
    rank = max(len(streamed_batch), len(stationary_batch))
    pairs = zip(
        (1,) * (rank - len(streamed_batch)) + streamed_batch,
        (1,) * (rank - len(stationary_batch)) + stationary_batch,
        strict=True,
    )
    batch, shared = 1, 1
    for mine, its in pairs:
        if mine != its and 1 not in (mine, its):
            raise translation.error(
                f"expected batches that broadcast, got {list(streamed_batch)} and {list(stationary_batch)}", node
            )
        batch, shared = (batch * its, shared) if its > 1 else (batch, shared * mine)
    is_constant = translation.is_constant(stationary)
    operation = MatMul(m=rows * shared, k=k, n=n, batch=batch, has_activation_weights=not is_constant)
    inputs = (streamed,) if is_constant else (streamed, stationary)
    weights = translation.constant(stationary) if is_constant else None
    position = 0 if translation.is_constant(node.inputs[0]) else 1
    inner = Stationary(node, position, inner_axis=max(0, len(translation.shape(stationary)) - (2 if position else 1)))
    translation.emit(node, operation, inputs, weights=weights, stationary=inner)


def gemm(node: Node, translation: Translation) -> None:
    """Gemm: alpha and beta fold into the scales; C is a bias of n elements, or an addition of its own."""
    left, right = node.inputs[0], node.inputs[1]
    a, b = translation.shape(left), translation.shape(right)
    if len(a) != 2 or len(b) != 2 or (translation.is_constant(left) and not translation.is_constant(right)):
        raise NotSimulated("a Gemm of other than two matrices, or with a constant left operand")
    m, k = reversed(a) if node.integer("transA", 0) else a
    inner, n = reversed(b) if node.integer("transB", 0) else b
    if inner != k:
        raise translation.error(f"expected operands that agree in the inner size, got {list(a)} and {list(b)}", node)
    is_constant = translation.is_constant(right)
    addend = node.input(2)
    is_bias = bool(addend) and translation.is_constant(addend) and prod(translation.shape(addend)) in (1, n)
    product = translation.before(node, "product", (m, n)) if addend and not is_bias else node
    operation = MatMul(m=m, k=k, n=n, has_activation_weights=not is_constant)
    inputs = (left,) if is_constant else (left, right)
    translation.emit(
        product,
        operation,
        inputs,
        weights=translation.constant(right) if is_constant else None,
        bias=translation.bias(addend, n) if is_bias else None,
        stationary=Stationary(node, 1, inner_axis=1 if node.integer("transB", 0) else 0),
    )
    if product is not node:
        translation.emit_elementwise(node, "add", (product.outputs[0], addend))
