"""onnxruntime's CPU kernels on the same model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accelsim.errors import WorkloadError
from accelsim.reference.runtime import Runtime, Tensors
from accelsim.workload.input_values import Sample
from accelsim.workload.quantized_network import QuantizedNetwork

if TYPE_CHECKING:
    from onnx import ModelProto


def onnx_runtime(network: QuantizedNetwork) -> Runtime:
    """onnxruntime with its default optimizations, every layer's output being an output of the graph too.

    ``session.qdqisint8allowed`` lets x86 run QDQ models of int8 activations with integers too, as it runs those of uint8
    ones; without it onnxruntime computes their products in float32, which differs by 1 in a few of a million outputs.
    A model with activations of less than 8 bits runs with basic optimizations: the extended ones (onnxruntime 1.31) drop
    a ReLU before a 4-bit QuantizeLinear whose zero point does not make it superfluous, and write operators that have no
    4 bits; its packed integers are fetched widened to a byte.

    Raises
    ------
    WorkloadError : a model that onnxruntime refuses.
    """
    import onnx
    import onnxruntime

    written = {name: layer for name, layer in network.layers.items() if layer.model_output}
    try:
        model = onnx.load(network.path)
        narrow = _narrow_tensors(model)
        fetched = _fetched(model, [layer.model_output for layer in written.values()], narrow)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.log_severity_level = 1, 3
        settings.add_session_config_entry("session.qdqisint8allowed", "1")
        if narrow:
            settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own types, which share no public base
        raise WorkloadError(f"onnxruntime does not take this model: {error}", file=network.path) from error

    def run(sample: Sample) -> Tensors:
        given = {}
        for item in network.inputs:
            integers = sample[item.tensor].reshape(item.shape)
            # A model that takes real numbers quantizes these back to the same integers.
            given[item.name] = item.qparams.dequantize(integers, dtype="float32") if item.is_float else integers
        found = dict(zip(fetched, session.run(list(fetched.values()), given), strict=True))
        return {name: found[layer.model_output].reshape(layer.output_shape) for name, layer in written.items()}

    return run


def _fetched(model: ModelProto, wanted: list[str], narrow: dict[str, int]) -> dict[str, str]:
    """Adds outputs to the model: tensor -> the output under which it can be fetched."""
    from onnx import helper

    there = {output.name for output in model.graph.output}
    fetched = {name: f"{name}_widened" if name in narrow else name for name in dict.fromkeys(wanted)}
    for name, output in fetched.items():
        if name in narrow:  # onnxruntime has no numpy type for packed integers
            model.graph.node.append(helper.make_node("Cast", [name], [output], to=narrow[name]))
        if output not in there:
            model.graph.output.append(helper.make_empty_tensor_value_info(output))
    return fetched


def _narrow_tensors(model: ModelProto) -> dict[str, int]:
    """Outputs of QuantizeLinear of less than 8 bits, and the element type that holds them."""
    from onnx import TensorProto

    wider = {TensorProto.INT4: TensorProto.INT8, TensorProto.UINT4: TensorProto.UINT8, 26: TensorProto.INT8,
             25: TensorProto.UINT8}  # onnx.proto3: UINT2 is 25, INT2 is 26
    types = {constant.name: constant.data_type for constant in model.graph.initializer}
    return {node.output[0]: wider[types[node.input[2]]] for node in model.graph.node
            if node.op_type == "QuantizeLinear" and len(node.input) > 2 and types.get(node.input[2]) in wider}
