"""TFLite operators that compute element by element, over rows or over axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from accelsim.quantization.float_tflite.conversion import TO_IMAGE, Conversion
from accelsim.workload.tflite.graph import TfliteOperator

_COMBINING = {"ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div", "MAXIMUM": "Max", "MINIMUM": "Min", "POW": "Pow",
              "ADD_N": "Sum"}

_FUNCTIONS = {"RELU": "Relu", "LOGISTIC": "Sigmoid", "TANH": "Tanh", "HARD_SWISH": "HardSwish", "ELU": "Elu", "EXP": "Exp",
              "LOG": "Log", "ABS": "Abs", "NEG": "Neg", "SQRT": "Sqrt", "SIN": "Sin", "COS": "Cos", "FLOOR": "Floor",
              "CEIL": "Ceil", "ROUND": "Round", "SIGN": "Sign", "DEQUANTIZE": "Identity"}

_CLAMPS = {"RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}

_REDUCTIONS = {"MEAN": "ReduceMean", "SUM": "ReduceSum", "REDUCE_MAX": "ReduceMax", "REDUCE_MIN": "ReduceMin"}


def _combine(operator: TfliteOperator, conversion: Conversion) -> None:
    """An element-wise operator of tensors that broadcast; on images where one of them is one."""
    fused = conversion.translation.fused(operator) if "activation" in operator.options else ""
    is_image = _is_on_images(operator, conversion)
    read = [_operand(number, conversion, is_image) for number in operator.inputs]
    conversion.put_result(operator, _COMBINING[operator.op], read, is_image=is_image, fused=fused)


def _is_on_images(operator: TfliteOperator, conversion: Conversion) -> bool:
    """Whether some operand lies as an image, and the others can be read as one."""
    return any(conversion.is_image(number) for number in operator.inputs) and all(
        len(conversion.shape(number)) == 4 or conversion.is_constant(number) for number in operator.inputs)


def _operand(number: int, conversion: Conversion, is_image: bool) -> str:
    shape = conversion.shape(number)
    if not is_image:
        return conversion.plain(number)
    if len(shape) == 4:
        return conversion.image(number)
    whole = conversion.array(number).reshape((1,) * (4 - len(shape)) + shape)
    return conversion.constant(f"{conversion.translation.name(number)}_constant", whole.transpose(TO_IMAGE))


def _function(operator: TfliteOperator, conversion: Conversion, *, op: str, bounds: tuple[float, ...] = (),
              **attributes: Any) -> None:
    """A function of one element; where its input lies."""
    source = operator.inputs[0]
    is_image = conversion.is_image(source)
    ends = [conversion.constant(f"{operator.label}_{word}", bound)
            for word, bound in zip(("low", "high"), bounds, strict=False)]
    read = conversion.image(source) if is_image else conversion.plain(source)
    conversion.put_result(operator, op, (read, *ends), is_image=is_image, **attributes)


def _leaky_relu(operator: TfliteOperator, conversion: Conversion) -> None:
    _function(operator, conversion, op="LeakyRelu", alpha=float(operator.options["alpha"]))


def _gelu(operator: TfliteOperator, conversion: Conversion) -> None:
    _function(operator, conversion, op="Gelu", approximate="tanh" if operator.options["approximate"] else "none")


def _rsqrt(operator: TfliteOperator, conversion: Conversion) -> None:
    """1 / sqrt(x), which ONNX has no operator for."""
    source = operator.inputs[0]
    is_image = conversion.is_image(source)
    root = conversion.put("Sqrt", f"{operator.label}_root",
                          (conversion.image(source) if is_image else conversion.plain(source),),
                          conversion.between(operator, "root"))
    conversion.put_result(operator, "Reciprocal", (root,), is_image=is_image)


def _square(operator: TfliteOperator, conversion: Conversion) -> None:
    source = operator.inputs[0]
    is_image = conversion.is_image(source)
    read = conversion.image(source) if is_image else conversion.plain(source)
    conversion.put_result(operator, "Mul", (read, read), is_image=is_image)


def _squared_difference(operator: TfliteOperator, conversion: Conversion) -> None:
    is_image = _is_on_images(operator, conversion)
    read = [_operand(number, conversion, is_image) for number in operator.inputs]
    difference = conversion.put("Sub", f"{operator.label}_difference", read, conversion.between(operator, "difference"))
    conversion.put_result(operator, "Mul", (difference, difference), is_image=is_image)


def _prelu(operator: TfliteOperator, conversion: Conversion) -> None:
    """PRELU: one slope a channel."""
    is_image = conversion.is_image(operator.inputs[0])
    read = [_operand(number, conversion, is_image) for number in operator.inputs]
    conversion.put_result(operator, "PRelu", read, is_image=is_image)


def _reduction(operator: TfliteOperator, conversion: Conversion) -> None:
    """MEAN, SUM, ... over constant axes; on images where the order of what is left stays the same."""
    source, keeps = operator.inputs[0], bool(operator.options.get("keep_dims", False))
    rank = len(conversion.shape(source))
    axes = sorted({axis % rank for axis in conversion.translation.required(operator, 1)})
    is_image = conversion.is_image(source) and (keeps or axes == [1, 2])
    if is_image:
        axes = sorted(TO_IMAGE.index(axis) for axis in axes)
    names = conversion.constant(f"{operator.label}_axes", axes)
    read = conversion.image(source) if is_image else conversion.plain(source)
    conversion.put_result(operator, _REDUCTIONS[operator.op], (read, names), is_image=is_image and keeps,
                          keepdims=int(keeps))


def _softmax(operator: TfliteOperator, conversion: Conversion, *, op: str) -> None:
    """SOFTMAX of beta x over the last dimension; LOG_SOFTMAX."""
    read, beta = conversion.plain(operator.inputs[0]), float(operator.options.get("beta", 1.0))
    if op == "Softmax" and beta != 1.0:
        factor = conversion.constant(f"{operator.label}_beta", beta)
        read = conversion.put("Mul", f"{operator.label}_beta", (read, factor), conversion.between(operator, "scaled"))
    conversion.put_result(operator, op, (read,), is_image=False, axis=-1)


def _normalization(operator: TfliteOperator, conversion: Conversion) -> None:
    """L2_NORMALIZATION over the last dimension."""
    conversion.put_result(operator, "LpNormalization", (conversion.plain(operator.inputs[0]),), is_image=False,
                          fused=conversion.translation.fused(operator), axis=-1, p=2)


CONVERTERS: dict[str, Callable[[TfliteOperator, Conversion], None]] = {
    **dict.fromkeys(_COMBINING, _combine),
    **{name: partial(_function, op=op) for name, op in _FUNCTIONS.items()},
    **{name: partial(_function, op="Clip", bounds=bounds) for name, bounds in _CLAMPS.items()},
    **dict.fromkeys(_REDUCTIONS, _reduction),
    "LEAKY_RELU": _leaky_relu, "GELU": _gelu, "RSQRT": _rsqrt, "SQUARE": _square, "PRELU": _prelu,
    "SQUARED_DIFFERENCE": _squared_difference, "SOFTMAX": partial(_softmax, op="Softmax"),
    "LOG_SOFTMAX": partial(_softmax, op="LogSoftmax"), "L2_NORMALIZATION": _normalization,
}
