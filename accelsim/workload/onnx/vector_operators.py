"""Translators of the ONNX operators that run on the vector unit or fold into the layer before them."""

from __future__ import annotations

from math import prod

from accelsim.workload.layer import Layer
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.translation import REQUANTIZED, NotSimulated, Translation
from accelsim.workload.operation import Activation, Convolution, MatMul, Normalization, Pooling, Reduction, Resize, Softmax
from accelsim.workload.tensor import Shape, Tensor

#: ONNX operator -> kind of `Activation`.
ACTIVATIONS = {
    "Relu": "relu",
    "Clip": "clip",
    "LeakyRelu": "leaky_relu",
    "PRelu": "prelu",
    "ThresholdedRelu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Gelu": "gelu",
    "Erf": "erf",
    "Exp": "exp",
    "Sqrt": "sqrt",
    "Swish": "silu",
    "HardSigmoid": "hard_sigmoid",
    "HardSwish": "hard_swish",
    "Softplus": "softplus",
    "Elu": "elu",
    "Celu": "elu",
    "Selu": "selu",
    "Mish": "mish",
    "Reciprocal": "reciprocal",
    "Neg": "neg",
    "Abs": "abs",
    "Log": "log",
    "Sin": "sin",
    "Cos": "cos",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "Sign": "sign",
    "Cast": "cast",
    "DynamicQuantizeLinear": "dynamic_quantize",
    **dict.fromkeys(("Not", "IsNaN", "IsInf"), "compare"),
}

#: ONNX operator -> kind of `Elementwise`.
ELEMENTWISE = {
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Max": "max",
    "Min": "min",
    "Pow": "pow",
    "Sum": "add",
    "Mean": "add",
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), "compare"),
    **dict.fromkeys(("And", "Or", "Xor"), "logical"),
}

#: ONNX operator -> kind of `Reduction`; the index of a maximum is found by the same comparisons.
REDUCTIONS = {
    "ReduceMean": "mean",
    "ReduceSum": "sum",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ArgMax": "max",
    "ArgMin": "min",
}

# A clamp that the requantizer does for nothing.
_CLAMPS = ("relu", "relu6", "clip")

# x * f(x), written by exporters as two operators: f -> the function that both make.
_GATED = {"sigmoid": "silu", "hard_sigmoid": "hard_swish"}


def activation(node: Node, translation: Translation) -> None:
    """A function of one element.

    A clamp fuses into the layer whose output nothing else reads, unless the model rounds to other integers in between.
    """
    kind = _clip_kind(node, translation) if node.op == "Clip" else ACTIVATIONS[node.op]
    source = node.inputs[0]
    if kind in _CLAMPS and node.op != "ThresholdedRelu" and translation.roundings.keeps_integers(node):
        producer = translation.sole_producer(source)
        if producer is not None and isinstance(producer.operation, REQUANTIZED):
            translation.absorb(producer, node, fused=kind)
            return
    slopes = node.input(1) if node.op == "PRelu" else ""
    weights = translation.constant(slopes) if slopes and translation.is_constant(slopes) else None
    translation.emit(node, Activation(kind, translation.shape(node.outputs[0])), (source,), weights=weights)


def rescaling(node: Node, translation: Translation) -> None:
    """A QuantizeLinear of values that lie on other integers already: a pass that rescales them."""
    translation.emit(node, Activation("cast", translation.shape(node.outputs[0])), node.inputs[:1])


def _clip_kind(node: Node, translation: Translation) -> str:
    """relu for [0, inf), relu6 for [0, 6], clip for everything else."""
    low, high = node.attribute("min"), node.attribute("max")
    for position, is_low in ((1, True), (2, False)):
        name = node.input(position)
        if name:
            value = translation.value(name)
            bound = float(value.flat[0]) if value is not None and value.size == 1 else float("nan")
            low, high = (bound, high) if is_low else (low, bound)
    if low != 0:
        return "clip"
    return {None: "relu", 6.0: "relu6"}.get(high, "clip")


def elementwise(node: Node, translation: Translation) -> None:
    """Add, Mul, ... of tensors, or of a tensor and a constant.

    A constant per channel folds into the grid layer before it (a sum into its bias, a factor into its
    scales), or into the table of a batch normalization, if nothing else reads that layer's output and the
    model does not round it to integers first.
    """
    if _is_folded(node, translation) or _is_gate(node, translation):
        return
    translation.emit_elementwise(node, ELEMENTWISE[node.op], node.inputs)


def _is_folded(node: Node, translation: Translation) -> bool:
    if node.op not in ("Add", "Sub", "Mul", "Div") or len(node.inputs) != 2:
        return False
    source, constant = node.inputs
    if translation.is_constant(source) and node.op in ("Add", "Mul"):
        source, constant = constant, source
    if translation.is_constant(source) or not translation.is_constant(constant):
        return False
    producer = translation.sole_producer(source, through_rounding=False)
    if producer is None or producer.fused or translation.shape(source) != translation.shape(node.outputs[0]):
        return False
    if not _is_per_channel(translation.shape(constant), translation.shape(source), producer, translation):
        return False
    if node.op in ("Mul", "Div"):
        translation.absorb(producer, node)
        return True
    if producer.weights is None:
        return False
    is_table = isinstance(producer.operation, Normalization)
    translation.absorb(producer, node, bias=None if is_table else _bias_of(producer, constant))
    return True


def _is_per_channel(constant: Shape, shape: Shape, producer: Layer, translation: Translation) -> bool:
    """Whether a constant that broadcasts to `shape` holds one number, or one for each channel."""
    axis = _channel_axis(producer, shape, translation)
    if axis is None:
        return False
    if prod(constant) == 1:
        return True
    aligned = (1,) * (len(shape) - len(constant)) + constant
    return producer.weights is not None and all(
        size == (shape[index] if index == axis else 1) for index, size in enumerate(aligned)
    )


def _channel_axis(producer: Layer, shape: Shape, translation: Translation) -> int | None:
    """The axis of a layer's channels, if `shape` shows its output as the layer writes it."""
    operation = producer.operation
    if producer.output.shape != shape or not shape:
        return None
    if isinstance(operation, Convolution):
        return 1 if len(shape) > 1 and shape[1] == operation.out_channels else None
    if isinstance(operation, MatMul):
        axis = len(shape) - (2 if _has_channels_in_rows(translation.origin(producer).node, translation) else 1)
        return axis if axis >= 0 and shape[axis] == operation.n else None
    if isinstance(operation, Normalization) and operation.kind == "batch":
        return 1 if len(shape) > 1 else None
    return None


def _has_channels_in_rows(product: Node, translation: Translation) -> bool:
    """Whether the weights stand on the left of a matrix, so that their rows are the product's rows."""
    return translation.is_constant(product.inputs[0]) and len(translation.shape(product.inputs[1])) > 1


def _bias_of(producer: Layer, name: str) -> Tensor:
    operation = producer.operation
    assert isinstance(operation, Convolution | MatMul)
    channels = operation.out_channels if isinstance(operation, Convolution) else operation.n
    return producer.bias or Tensor(name, (channels,), 32, is_constant=True)


def _is_gate(node: Node, translation: Translation) -> bool:
    """x * sigmoid(x) and x * hard_sigmoid(x) become one look-up."""
    if node.op != "Mul" or len(node.inputs) != 2:
        return False
    for gate, source in (node.inputs, reversed(node.inputs)):
        producer = translation.sole_producer(gate)
        if producer is None or not isinstance(producer.operation, Activation):
            continue
        kind = _GATED.get(producer.operation.kind)
        if kind and producer.inputs[0].name == translation.root(source):
            translation.change(producer, Activation(kind, producer.operation.out_shape), node)
            return True
    return False


def batch_normalization(node: Node, translation: Translation) -> None:
    """Folds into the weights and bias of the grid layer before it, else multiplies and adds each element."""
    source = node.inputs[0]
    shape = translation.shape(source)
    producer = translation.sole_producer(source, through_rounding=False)
    if (
        producer is not None
        and producer.weights is not None
        and not producer.fused
        and _channel_axis(producer, shape, translation) == 1
        and not isinstance(producer.operation, Normalization)
    ):
        translation.absorb(producer, node, bias=_bias_of(producer, f"{node.label}_bias"))
        return
    channels = shape[1] if len(shape) > 1 else 1
    table = Tensor(f"{node.label}_table", (2, channels), translation.weight_bits, is_constant=True)
    translation.emit(node, Normalization("batch", shape, row_length=channels), (source,), weights=table)


def normalization(node: Node, translation: Translation) -> None:
    """Layer, RMS, instance, group, L2 and local-response normalization; weights are scales and shifts."""
    source = node.inputs[0]
    shape = translation.shape(source)
    kind, row = _row(node, shape)
    names = [name for name in node.inputs[1:3] if name and translation.is_constant(name)]
    weights = None
    if names:
        length = sum(prod(translation.shape(name)) for name in names)
        weights = translation.constant(names[0], shape=(length,))
    translation.emit(node, Normalization(kind, shape, row_length=row), (source,), weights=weights)


def _row(node: Node, shape: Shape) -> tuple[str, int]:
    """Kind, and how many elements are normalized together."""
    if node.op in ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"):
        return "layer" if node.op == "LayerNormalization" else "rms", prod(shape[_axis(node, "axis", -1, shape) :])
    if node.op == "InstanceNormalization":
        return "instance", prod(shape[2:])
    if node.op == "GroupNormalization":
        return "group", prod(shape[1:]) // max(1, node.integer("num_groups", 1))
    if node.op == "LRN":
        return "lrn", node.integer("size", 1)
    return "l2", shape[_axis(node, "axis", -1, shape)]


def _axis(node: Node, name: str, default: int, shape: Shape) -> int:
    axis = node.integer(name, default)
    return axis + len(shape) if axis < 0 else axis


def softmax(node: Node, translation: Translation) -> None:
    """Softmax and LogSoftmax; before version 13 all axes from `axis` on make one row."""
    shape = translation.shape(node.inputs[0])
    is_old = translation.graph.opsets.get("", 13) < 13
    axis = _axis(node, "axis", 1 if is_old else -1, shape)
    row = prod(shape[axis:]) if is_old else shape[axis]
    translation.emit(node, Softmax(shape, row_length=row), node.inputs[:1])


def pooling(node: Node, translation: Translation) -> None:
    """Max and average pooling, windowed or global, 1-D or 2-D."""
    shape = translation.shape(node.inputs[0])
    out_shape = translation.shape(node.outputs[0])
    if len(shape) not in (3, 4):
        raise NotSimulated("pooling that is not 1-D or 2-D")
    is_flat = len(shape) == 3
    window = shape[2:] if node.op.startswith("Global") else node.integers("kernel_shape")
    stride = node.integers("strides", (1,) * len(window))
    pads = node.integers("pads", (0,) * (2 * len(window)))
    if (
        any(
            reach > size + sum(pads[axis :: len(window)])
            for axis, (reach, size) in enumerate(zip(window, shape[2:], strict=True))
        )
        and node.attribute("auto_pad", "NOTSET") == "NOTSET"
    ):
        raise translation.error(
            f"expected a window no larger than the padded input, got {list(window)} on {list(shape[2:])}", node
        )
    operation = Pooling(
        "max" if "Max" in node.op else "average",
        (*out_shape[:2], 1, out_shape[2]) if is_flat else out_shape,
        window=(1, window[0]) if is_flat else (window[0], window[1]),
        stride=(1, stride[0]) if is_flat else (stride[0], stride[1]),
        pads=(0, pads[0], 0, pads[1]) if is_flat else (pads[0], pads[1], pads[2], pads[3]),
    )
    translation.emit(node, operation, node.inputs[:1])


def reduction(node: Node, translation: Translation) -> None:
    shape = translation.shape(node.inputs[0])
    operation = Reduction(REDUCTIONS[node.op], translation.shape(node.outputs[0]), in_elements=prod(shape))
    translation.emit(node, operation, node.inputs[:1])


def resize(node: Node, translation: Translation) -> None:
    mode = node.attribute("mode", "nearest")
    if mode not in ("nearest", "linear", "bilinear"):
        raise NotSimulated(f"resizing by {mode} interpolation")
    operation = Resize("nearest" if mode == "nearest" else "linear", translation.shape(node.outputs[0]))
    translation.emit(node, operation, node.inputs[:1])
