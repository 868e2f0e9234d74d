"""A float TFLite file to a `FloatModel`: every operator to ONNX operators that compute the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from accelsim.errors import AccelsimError, UnsupportedOperatorError, WorkloadError
from accelsim.quantization.float_file import simplified
from accelsim.quantization.float_model import OPSET, FloatModel
from accelsim.quantization.float_tflite import elementwise, images, moves, products
from accelsim.quantization.float_tflite.conversion import Conversion
from accelsim.workload.onnx.graph import GraphInput
from accelsim.workload.tensor import Shape
from accelsim.workload.tflite.batch import with_batch
from accelsim.workload.tflite.file import read_tflite
from accelsim.workload.tflite.graph import TfliteOperator
from accelsim.workload.tflite.translation import NotSimulated, Translation

_CONVERTERS: dict[str, Callable[[TfliteOperator, Conversion], None]] = {
    **images.CONVERTERS, **products.CONVERTERS, **elementwise.CONVERTERS, **moves.CONVERTERS}

# What a file whose operators lack inputs or have senseless options surfaces as.
_BREACHES = (ArithmeticError, LookupError, TypeError, ValueError)

# Source: onnx.proto3, TensorProto.DataType.
_ELEMENT_TYPES = {"float32": 1, "int32": 6, "int64": 7}


def import_float_tflite(path: Path, *, batch: int | None, shapes: Mapping[str, Shape]) -> FloatModel:
    """The network of a float TFLite file. Images stay (N, H, W, C) at its inputs and outputs.

    Parameters
    ----------
    batch : first dimension of every input, where the model states 1.
    shapes : must be empty; a TFLite file states its shapes.

    Raises
    ------
    WorkloadError : not a TFLite model, one with integers, shapes that are not known before the run.
    UnsupportedOperatorError : operators that have no counterpart here.
    """
    if shapes:
        raise WorkloadError(f"a TFLite model has the shapes of its file, got {', '.join(shapes)}", file=str(path))
    graph = read_tflite(path)
    if batch is not None:
        graph = with_batch(graph, batch, path)
    translation = Translation(graph, path, weight_bits=8, input_bits=8)
    _check(translation)
    conversion = Conversion(translation)
    for operator in translation.operators:
        _convert(operator, conversion)
    outputs = tuple(conversion.plain(number) for number in graph.outputs)
    inputs = {translation.name(number): GraphInput(translation.shape(number), _element_type(number, translation))
              for number in graph.inputs}
    return simplified(FloatModel(path.stem, tuple(conversion.nodes), conversion.arrays, inputs, outputs, OPSET,
                                 path=str(path)))


def _check(translation: Translation) -> None:
    """That the network computes in floating point, with operators that are known."""
    for number in (*translation.graph.inputs, *translation.graph.outputs):
        tensor = translation.tensor(number)
        if not tensor.is_sized:
            raise WorkloadError(f"expected a shape that is known before the run, got {list(tensor.shape)}",
                                file=str(translation.path), field=f'tensor "{tensor.name}"')
    for operator in translation.operators:
        for number in operator.outputs:
            tensor = translation.tensor(number)
            if tensor.scales is not None and tensor.scales.size and not tensor.type.is_float:
                raise translation.error(f"expected a network in floating point, got {tensor.type.name} with scales",
                                        operator)
    unknown = Counter(operator.op for operator in translation.operators if operator.op not in _CONVERTERS)
    if unknown:
        found = ", ".join(f"{name} x{count}" for name, count in sorted(unknown.items()))
        raise UnsupportedOperatorError(f"operators that accelsim does not convert from TFLite: {found}",
                                       file=str(translation.path))


def _element_type(number: int, translation: Translation) -> int:
    tensor = translation.tensor(number)
    if tensor.type.name not in _ELEMENT_TYPES:
        raise WorkloadError(f"expected an input of real numbers or indices, got {tensor.type.name}",
                            file=str(translation.path), field=tensor.name)
    return _ELEMENT_TYPES[tensor.type.name]


def _convert(operator: TfliteOperator, conversion: Conversion) -> None:
    path = str(conversion.translation.path)
    try:
        _CONVERTERS[operator.op](operator, conversion)
    except NotSimulated as reason:
        raise WorkloadError(f"expected an operator that has a counterpart in ONNX, got {reason}", file=path,
                            field=operator.label) from None
    except AccelsimError as error:
        field = operator.label if error.field in (None, operator.label) else f"{operator.label}: {error.field}"
        raise WorkloadError(error.problem, file=path, field=field) from None
    except _BREACHES as error:
        raise conversion.translation.error(f"not a valid {operator.op}: {error}", operator) from error
