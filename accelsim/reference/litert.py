"""LiteRT's own kernels on the same model (package ai-edge-litert)."""

from __future__ import annotations

from accelsim.errors import WorkloadError
from accelsim.reference.runtime import Runtime, Tensors
from accelsim.workload.input_values import Sample
from accelsim.workload.quantized_network import QuantizedNetwork


def litert(network: QuantizedNetwork, *, is_optimized: bool = False) -> Runtime:
    """LiteRT with its reference kernels (``BUILTIN_REF``), or with its optimized ones and no delegate; one thread.

    Raises
    ------
    WorkloadError : a model that LiteRT refuses.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if is_optimized else OpResolverType.BUILTIN_REF
    try:
        interpreter = Interpreter(model_path=network.path, experimental_op_resolver_type=kernels, num_threads=1,
                                  experimental_preserve_all_tensors=True)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise WorkloadError(f"LiteRT does not take this model: {error}", file=network.path) from error
    places = {detail["name"]: detail["index"] for detail in interpreter.get_input_details()}
    written = {name: layer for name, layer in network.layers.items() if layer.model_output}

    def run(sample: Sample) -> Tensors:
        for item in network.inputs:
            integers = sample[item.tensor].reshape(item.shape)
            # A model that takes real numbers quantizes these back to the same integers.
            given = item.qparams.dequantize(integers, dtype="float32") if item.is_float else integers
            interpreter.set_tensor(places[item.name], given)
        interpreter.invoke()
        return {name: interpreter.get_tensor(int(layer.model_output)).reshape(layer.output_shape)
                for name, layer in written.items()}

    return run
