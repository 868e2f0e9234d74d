"""Translators of the TFLite operators that compute on the vector unit."""

from __future__ import annotations

from math import prod
from typing import Literal

from accelsim.errors import WorkloadError
from accelsim.numerics.kernel import Kernel
from accelsim.numerics.kernels.addition import AdditionKernel
from accelsim.numerics.kernels.multiplication import MultiplicationKernel
from accelsim.numerics.kernels.normalization import NormalizationKernel
from accelsim.numerics.kernels.pooling import PoolingKernel
from accelsim.numerics.kernels.reduction import ReductionKernel
from accelsim.numerics.kernels.rescaling import RescalingKernel
from accelsim.numerics.kernels.resizing import Coordinates, ResizingKernel
from accelsim.numerics.kernels.selection import SelectionKernel
from accelsim.numerics.kernels.softmax import SoftmaxKernel
from accelsim.numerics.kernels.table import TableKernel
from accelsim.numerics.qparams import QParams
from accelsim.workload.operation import Activation, Normalization, Pooling, Reduction, Resize, Softmax
from accelsim.workload.tensor import Shape
from accelsim.workload.tflite.graph import TfliteOperator
from accelsim.workload.tflite.quantization import activation_range
from accelsim.workload.tflite.translation import NotSimulated, Translation, broadcast
from accelsim.workload.tflite.windows import out_size, positive_options, window_pads

#: TFLite operator -> kind of `Activation`.
ACTIVATIONS = {
    "RELU": "relu", "RELU6": "relu6", "RELU_N1_TO_1": "clip", "RELU_0_TO_1": "clip", "LEAKY_RELU": "leaky_relu",
    "PRELU": "prelu", "LOGISTIC": "sigmoid", "TANH": "tanh", "HARD_SWISH": "hard_swish", "GELU": "gelu", "ELU": "elu",
    "EXP": "exp", "LOG": "log", "SQRT": "sqrt", "RSQRT": "sqrt", "ABS": "abs", "NEG": "neg", "SIN": "sin", "COS": "cos",
    "FLOOR": "floor", "CEIL": "ceil", "ROUND": "round", "SIGN": "sign", "LOGICAL_NOT": "compare", "QUANTIZE": "cast",
    "CAST": "cast",
}

#: TFLite operator -> kind of `Elementwise`.
ELEMENTWISE = {
    "ADD": "add", "SUB": "sub", "MUL": "mul", "DIV": "div", "MAXIMUM": "max", "MINIMUM": "min", "POW": "pow", "ADD_N": "add",
    "FLOOR_DIV": "div", "FLOOR_MOD": "div", "SQUARE": "mul", "SQUARED_DIFFERENCE": "mul",
    **dict.fromkeys(("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"), "compare"),
    **dict.fromkeys(("LOGICAL_AND", "LOGICAL_OR"), "logical"),
}

#: TFLite operator -> kind of `Reduction`; the index of a maximum is found by the same comparisons.
REDUCTIONS = {"MEAN": "mean", "SUM": "sum", "REDUCE_MAX": "max", "REDUCE_MIN": "min", "REDUCE_PROD": "prod",
              "ARG_MAX": "max", "ARG_MIN": "min"}

# Clamps and copies between two grids: operator -> fused activation of the same range.
_CLAMPS = {"RELU": "relu", "RELU6": "relu6", "RELU_N1_TO_1": "relu_n1_to_1", "QUANTIZE": ""}

# Operator -> function of a look-up table.
_TABLES = {"LOGISTIC": "sigmoid", "TANH": "tanh", "HARD_SWISH": "hard_swish", "GELU": "gelu", "ELU": "elu", "EXP": "exp",
           "LOG": "log", "ABS": "abs", "SQRT": "sqrt", "RSQRT": "rsqrt", "LEAKY_RELU": "leaky_relu"}

_REDUCED: dict[str, Literal["mean", "sum", "max", "min"]] = {"MEAN": "mean", "SUM": "sum", "REDUCE_MAX": "max",
                                                            "REDUCE_MIN": "min"}


def without_integers(operator: TfliteOperator) -> WorkloadError:
    """The complaint about an operator that is timed but has no integer kernel."""
    return WorkloadError(f"expected an operator with integers, got {operator.op}, of which only the time is simulated")


def activation(operator: TfliteOperator, translation: Translation) -> None:
    """A function of one element. TFLite's own integers differ if it is fused, so that it stays a layer."""
    source, written = operator.inputs[0], operator.outputs[0]
    slopes = operator.input(1) if operator.op == "PRELU" else -1
    weights = translation.constant(slopes) if slopes >= 0 and translation.is_constant(slopes) else None
    translation.require_output(operator, translation.shape(source))
    translation.emit(operator, Activation(ACTIVATIONS[operator.op], translation.network_shape(written)), (source,),
                     lambda: _activation_kernel(operator, translation), weights=weights)


def _activation_kernel(operator: TfliteOperator, translation: Translation) -> Kernel:
    x, y = translation.parameters(operator.inputs[0]), translation.parameters(operator.outputs[0])
    if operator.op in _CLAMPS:
        low, high = activation_range(_CLAMPS[operator.op], y)
        # Source: google-ai-edge/LiteRT `tflite/kernels/quantize.cc` divides scales as doubles, `activations.cc` as floats.
        return RescalingKernel(x, y, low, high, arithmetic="float64" if operator.op == "QUANTIZE" else "float32")
    if operator.op not in _TABLES:
        raise without_integers(operator)
    parameters = {"LEAKY_RELU": {"alpha": float(operator.options.get("alpha", 0.0))},
                  "GELU": {"approximate": float(operator.options.get("approximate", False))}}
    return TableKernel(_TABLES[operator.op], x, y, parameters.get(operator.op, {}))


def elementwise(operator: TfliteOperator, translation: Translation) -> None:
    """ADD, MUL, ... of tensors that broadcast, or of a tensor and a constant."""
    shapes = [translation.shape(number) for number in operator.inputs]
    expected = broadcast(*shapes)
    if expected is None:
        found = " and ".join(str(list(shape)) for shape in shapes)
        raise translation.error(f"expected operands that broadcast, got {found}", operator)
    translation.require_output(operator, expected)
    fused = translation.fused(operator) if "activation" in operator.options else ""
    translation.emit_elementwise(operator, ELEMENTWISE[operator.op],
                                 lambda: _elementwise_kernel(operator, translation, fused), fused=fused)


def _elementwise_kernel(operator: TfliteOperator, translation: Translation, fused: str) -> Kernel:
    inputs = tuple(translation.parameters(number) for number in operator.inputs)
    output = translation.parameters(operator.outputs[0])
    if any(parameters.qtype != output.qtype for parameters in inputs):
        raise WorkloadError(f"expected operands of the output's type {output.qtype.name}, got "
                            f"{' and '.join(parameters.qtype.name for parameters in inputs)}")
    constants = {place: translation.integers(number) for place, number in enumerate(operator.inputs)
                 if translation.is_constant(number)}
    low, high = activation_range(fused, output)
    if operator.op in ("ADD", "SUB"):
        return AdditionKernel(inputs, output, low, high, (1, -1 if operator.op == "SUB" else 1), constants,
                              is_power_of_two=bool(operator.options["pot_scale_int16"]))
    if operator.op == "MUL":
        return MultiplicationKernel(inputs, output, low, high, constants)
    if operator.op in ("MAXIMUM", "MINIMUM"):
        # TFLite compares the integers: one grid for all.
        return SelectionKernel("max" if operator.op == "MAXIMUM" else "min", (output,) * len(inputs), output, constants)
    raise without_integers(operator)


def same_type(translation: Translation, source: int, written: int) -> QParams:
    """Scale and zero point of an output that has its input's type."""
    x, y = translation.parameters(source), translation.parameters(written)
    if x.qtype != y.qtype:
        raise WorkloadError(f"expected an output of the input's type {x.qtype.name}, got {y.qtype.name}")
    return y


def pooling(operator: TfliteOperator, translation: Translation) -> None:
    """AVERAGE_POOL_2D, MAX_POOL_2D; an average is over the positions inside the image."""
    source, written = operator.inputs[0], operator.outputs[0]
    shape = translation.shape(source)
    if len(shape) != 4:
        raise translation.error(f"expected an input of 4 dimensions, got {list(shape)}", operator)
    window = positive_options(operator, translation, "filter_h", "filter_w")
    stride = positive_options(operator, translation, "stride_h", "stride_w")
    size = (shape[1], shape[2])
    pads = window_pads(operator, translation, size, window, stride, (1, 1))
    translation.require_output(operator, (shape[0], *out_size(operator, size, window, stride, (1, 1)), shape[3]))
    fused = translation.fused(operator)
    kind: Literal["max", "average"] = "max" if operator.op == "MAX_POOL_2D" else "average"

    def kernel() -> Kernel:
        if operator.op == "L2_POOL_2D":
            raise without_integers(operator)
        y = same_type(translation, source, written)
        low, high = activation_range(fused, y)
        # TFLite pools the integers: one grid for both.
        return PoolingKernel(kind, window, stride, pads, (1, 1), True, False, y, y, low, high)

    operation = Pooling(kind, translation.network_shape(written), window=window, stride=stride, pads=pads)
    translation.emit(operator, operation, (source,), kernel, fused=fused)


def reduction(operator: TfliteOperator, translation: Translation) -> None:
    """MEAN, SUM, REDUCE_MAX, REDUCE_MIN over constant axes."""
    source, written = operator.inputs[0], operator.outputs[0]
    shape = translation.shape(source)
    axes = _axes(operator, translation, shape)
    keeps = bool(operator.options.get("keep_dims", False))
    if axes is not None:
        reduced = [1 if axis in axes else size for axis, size in enumerate(shape) if keeps or axis not in axes]
        translation.require_output(operator, reduced)

    def kernel() -> Kernel:
        if operator.op not in _REDUCED:
            raise without_integers(operator)
        if axes is None:
            raise WorkloadError("expected constant axes, got computed ones")
        y = same_type(translation, source, written)
        # TFLite compares the integers: one grid for both.
        x = y if operator.op in ("REDUCE_MAX", "REDUCE_MIN") else translation.parameters(source)
        return ReductionKernel(_REDUCED[operator.op], axes, keeps, x, y)

    operation = Reduction(REDUCTIONS[operator.op], translation.network_shape(written), in_elements=prod(shape))
    translation.emit(operator, operation, (source,), kernel)


def _axes(operator: TfliteOperator, translation: Translation, shape: Shape) -> tuple[int, ...] | None:
    """The axes counted from the first, each once; None if they are computed."""
    found = translation.operand(operator, 1)
    if found is None:
        return None
    rank = len(shape)
    wrong = [axis for axis in found if not -rank <= axis < rank]
    if wrong:
        raise translation.error(f"expected axes of {rank} dimensions, got {wrong[0]}", operator)
    return tuple(dict.fromkeys(axis % rank for axis in found))


def softmax(operator: TfliteOperator, translation: Translation) -> None:
    """SOFTMAX and LOG_SOFTMAX over the last dimension."""
    source, written = operator.inputs[0], operator.outputs[0]
    shape = translation.shape(source)
    if not shape:
        raise translation.error("expected at least 1 dimension, got a scalar", operator)
    translation.require_output(operator, shape)
    is_log = operator.op == "LOG_SOFTMAX"
    beta = 1.0 if is_log else float(operator.options["beta"])
    translation.emit(
        operator, Softmax(translation.network_shape(written), row_length=shape[-1]), (source,),
        lambda: SoftmaxKernel(-1, beta, translation.parameters(source), translation.parameters(written), is_log))


def normalization(operator: TfliteOperator, translation: Translation) -> None:
    """L2_NORMALIZATION over the last dimension; LOCAL_RESPONSE_NORMALIZATION, timed alone."""
    source, written = operator.inputs[0], operator.outputs[0]
    shape = translation.shape(source)
    if not shape:
        raise translation.error("expected at least 1 dimension, got a scalar", operator)
    translation.require_output(operator, shape)
    is_l2 = operator.op == "L2_NORMALIZATION"
    if is_l2 and translation.fused(operator):
        raise NotSimulated("a normalization with a fused activation")
    row = shape[-1] if is_l2 else 2 * max(0, operator.options["radius"]) + 1

    def kernel() -> Kernel:
        if not is_l2:
            raise without_integers(operator)
        return NormalizationKernel("l2", (-1,), 0.0, None, None, translation.parameters(source),
                                   translation.parameters(written))

    operation = Normalization("l2" if is_l2 else "lrn", translation.network_shape(written), row_length=row)
    translation.emit(operator, operation, (source,), kernel)


# (align_corners, half_pixel_centers) -> coordinates.
_COORDINATES: dict[tuple[bool, bool], Coordinates] = {
    (False, False): "tflite", (False, True): "tflite_half_pixel", (True, False): "tflite_align_corners",
    (True, True): "tflite_align_corners_half_pixel",
}


def resize(operator: TfliteOperator, translation: Translation) -> None:
    """RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR of (N, H, W, C)."""
    source, written = operator.inputs[0], operator.outputs[0]
    shape, out = translation.shape(source), translation.shape(written)
    if len(shape) != 4 or len(out) != 4:
        raise translation.error(f"expected images of 4 dimensions, got {list(shape)} and {list(out)}", operator)
    sizes = translation.operand(operator, 1) or out[1:3]
    translation.require_output(operator, (shape[0], *sizes, shape[3]))
    mode: Literal["nearest", "linear"] = "linear" if operator.op == "RESIZE_BILINEAR" else "nearest"
    coordinates = _COORDINATES[bool(operator.options["align_corners"]), bool(operator.options["half_pixel_centers"])]

    def kernel() -> Kernel:
        x, y = translation.parameters(source), translation.parameters(written)
        return ResizingKernel(mode, (1, 2), (out[1], out[2]), coordinates, x, y)

    translation.emit(operator, Resize(mode, translation.network_shape(written)), (source,), kernel)

