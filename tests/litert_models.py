"""One-operator TFLite models, written in memory and run by LiteRT: an independent source of expected integers.

Needs ai_edge_litert; importing this module without it skips the importing test module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="needs ai_edge_litert, to ask LiteRT itself")
flatbuffers = pytest.importorskip("flatbuffers", reason="needs flatbuffers, to write TFLite models")
interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai_edge_litert, to ask LiteRT itself")

_TYPES = {"float32": schema.TensorType.FLOAT32, "int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8,
          "int16": schema.TensorType.INT16, "int32": schema.TensorType.INT32, "int64": schema.TensorType.INT64,
          "bool": schema.TensorType.BOOL}


@dataclass(frozen=True, eq=False)
class TensorSpec:
    """A tensor of a model.

    Parameters
    ----------
    name : its name in the model.
    shape : sizes; () is a scalar.
    dtype : a numpy integer type or float32.
    scale, zero_point : one of each, or lists for scales a channel; no scale for tensors that are not quantized.
    data : a constant's values; None for activations.
    quantized_dimension : the channels' dimension.
    """

    name: str
    shape: Sequence[int]
    dtype: Any = np.int8
    scale: float | Sequence[float] | None = None
    zero_point: int | Sequence[int] = 0
    data: NDArray[Any] | None = None
    quantized_dimension: int = 0


def on_grid(name: str, shape: Sequence[int], grid: QParams, data: NDArray[Any] | None = None) -> TensorSpec:
    """A tensor of integers with one scale."""
    return TensorSpec(name, shape, grid.qtype.dtype, float(grid.scale), int(grid.zero_point), data)


def single_operator(opcode: int, options: Any, options_type: int, inputs: list[TensorSpec], outputs: list[TensorSpec], *,
                    version: int = 1) -> bytes:
    """A TFLite file with one operator; inputs with `data` become constants, the others inputs of the model, in order.

    Parameters
    ----------
    opcode : a `schema.BuiltinOperator`.
    options, options_type : its options object (or None) and their `schema.BuiltinOptions`.
    """
    model = schema.ModelT()
    model.version = 3
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = opcode, min(opcode, 127), version
    model.operatorCodes = [code]
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(spec, model.buffers) for spec in (*inputs, *outputs)]
    graph.inputs = [position for position, spec in enumerate(inputs) if spec.data is None]
    graph.outputs = [len(inputs) + position for position in range(len(outputs))]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, list(range(len(inputs))), graph.outputs
    operator.builtinOptions, operator.builtinOptionsType = options, options_type
    graph.operators = [operator]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _tensor(spec: TensorSpec, buffers: list[Any]) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = spec.name, list(spec.shape), _TYPES[np.dtype(spec.dtype).name]
    tensor.buffer = 0
    if spec.data is not None:
        buffer = schema.BufferT()
        values = np.ascontiguousarray(np.asarray(spec.data, dtype=spec.dtype))
        assert values.size == int(np.prod(spec.shape)), f"{spec.name}: {values.shape} is not {tuple(spec.shape)}"
        buffer.data = np.frombuffer(values.tobytes(), dtype=np.uint8)
        buffers.append(buffer)
        tensor.buffer = len(buffers) - 1
    if spec.scale is not None:
        quantization = schema.QuantizationParametersT()
        scales = np.atleast_1d(np.asarray(spec.scale, dtype=np.float32))
        quantization.scale = scales
        quantization.zeroPoint = np.broadcast_to(np.asarray(spec.zero_point, dtype=np.int64), scales.shape).copy()
        quantization.quantizedDimension = spec.quantized_dimension
        tensor.quantization = quantization
    return tensor


def run_reference(model: bytes, inputs: list[NDArray[Any]], *, is_optimized: bool = False) -> list[NDArray[Any]]:
    """The model's outputs, one array an output.

    Parameters
    ----------
    is_optimized : LiteRT's optimized kernels instead of its reference ones; delegates never run.
    """
    types = interpreters.OpResolverType
    resolver = types.BUILTIN_WITHOUT_DEFAULT_DELEGATES if is_optimized else types.BUILTIN_REF
    interpreter = interpreters.Interpreter(model_content=model, experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        assert detail["dtype"] == values.dtype, f"expected {detail['dtype']}, got {values.dtype}"
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
