"""What onnxruntime computes for a saved quantized network, tensor by tensor, in float: no kernel of integers, no fusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quantized_models import onnx, runtime

from accelsim.quantization.quantized_model import QuantizedModel


def saved_tensors(quantized: QuantizedModel, sample: Mapping[str, Any]) -> dict[str, Any]:
    """Every dequantized tensor, under the name that it has in the float network."""
    model = quantized.proto()
    names = {node.name.removesuffix("_DequantizeLinear"): node.output[0] for node in model.graph.node
             if node.op_type == "DequantizeLinear"}
    names = {name: output for name, output in names.items() if name in quantized.placement}
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names.values() if name not in known)
    settings = runtime.SessionOptions()
    settings.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(list(names.values()), dict(sample)), strict=True))
