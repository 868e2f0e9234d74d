"""TFLite models of any number of operators, written in memory, and all their tensors under LiteRT's reference kernels.

Needs ai_edge_litert; importing this module without it skips the importing test module.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="needs ai_edge_litert, to ask LiteRT itself")
flatbuffers = pytest.importorskip("flatbuffers", reason="needs flatbuffers, to write TFLite models")
interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai_edge_litert, to ask LiteRT itself")

#: Name of an operator's options in the schema, where it is not the operator's own name in capitals and "Options".
_OPTIONS = {
    "CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "BATCH_MATMUL": "BatchMatMulOptions",
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"), "ReducerOptions"),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), "Pool2DOptions"),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), "MaximumMinimumOptions"),
    "L2_NORMALIZATION": "L2NormOptions", "LOCAL_RESPONSE_NORMALIZATION": "LocalResponseNormalizationOptions",
    "PADV2": "PadV2Options", "SPLIT_V": "SplitVOptions", "REVERSE_V2": "ReverseV2Options",
}

#: These have no options.
_PLAIN = frozenset({"RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "PRELU", "ELU", "RSQRT", "CUSTOM"})


class LitertNetwork:
    """A model under construction, of the schema's own objects `model` and `graph`; its methods return numbers."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version, self.model.operatorCodes, self.model.buffers = 3, [], [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "int8",
        *,
        scale: float | Sequence[float] | None = None,
        zero_point: int | Sequence[int] = 0,
        data: Any = None,
        dimension: int = 0,
        signature: Sequence[int] | None = None,
        scale_block: int = 0,
    ) -> int:
        """A tensor; a constant if it has data (for int4 the unpacked integers), `dimension` that of its list of scales."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), getattr(schema.TensorType, dtype.upper())
        tensor.shapeSignature = signature
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(_bytes(np.asarray(data), dtype), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        if scale is not None:
            parameters = schema.QuantizationParametersT()
            parameters.scale = np.atleast_1d(np.asarray(scale, np.float32))
            points = np.asarray(zero_point, np.int64)
            parameters.zeroPoint = points if points.ndim else np.broadcast_to(points, parameters.scale.shape).copy()
            parameters.quantizedDimension = dimension
            tensor.quantization = parameters
        if scale_block:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.detailsType = schema.QuantizationDetails.BlockwiseQuantization
            tensor.quantization.details = schema.BlockwiseQuantizationT()
            tensor.quantization.details.blockSize = scale_block
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, op: str, inputs: Sequence[int], outputs: Sequence[int], *, version: int = 1, custom: str = "",
                 **options: Any) -> int:
        """An operator, its options by the schema's own names (``strideW=2``)."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, op)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        code.customCode = custom or None
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if op not in _PLAIN:
            name = _OPTIONS.get(op, "".join(part.capitalize() for part in op.split("_")) + "Options")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = getattr(schema, f"{name}T")()
            for option, value in options.items():
                assert hasattr(operator.builtinOptions, option), f"{name} has no {option}"
                setattr(operator.builtinOptions, option, value)
        self.graph.operators.append(operator)
        return len(self.graph.operators) - 1

    def content(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file."""
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def save(self, path: Path, inputs: Sequence[int], outputs: Sequence[int]) -> Path:
        path.write_bytes(self.content(inputs, outputs))
        return path


def _bytes(values: NDArray[Any], dtype: str) -> bytes:
    if dtype != "int4":
        return np.ascontiguousarray(values.astype(dtype)).tobytes()
    nibbles = np.append(values.reshape(-1), [0] * (values.size % 2)).astype(np.int64) & 15
    return (nibbles[::2] | nibbles[1::2] << 4).astype(np.uint8).tobytes()


def reference_tensors(path: Path, inputs: Sequence[NDArray[Any]]) -> dict[int, NDArray[Any]]:
    """Every tensor by its number after one run of LiteRT's reference kernels (no optimized kernels, no delegate)."""
    interpreter = interpreters.Interpreter(
        model_path=str(path), experimental_op_resolver_type=interpreters.OpResolverType.BUILTIN_REF, num_threads=1,
        experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        assert detail["dtype"] == values.dtype, f"expected {detail['dtype']}, got {values.dtype}"
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    found = {}
    for detail in interpreter.get_tensor_details():
        try:
            found[detail["index"]] = interpreter.get_tensor(detail["index"])
        except ValueError:
            # Optional and temporary tensors hold nothing.
            continue
    return found
