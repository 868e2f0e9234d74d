"""Runtimes by name, each as a function from a sample to every tensor that a layer writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.workload.input_values import Sample
from accelsim.workload.quantized_network import QuantizedNetwork

RuntimeName = Literal["onnxruntime", "litert"]

#: Layer's name -> its output as the runtime computed it, for the layers whose output is a tensor of the model.
Tensors = Mapping[str, NDArray[Any]]

#: Runs one sample of the network's integers.
Runtime = Callable[[Sample], Tensors]


def runtime_named(name: str, network: QuantizedNetwork, *, scheme: str) -> Runtime:
    """The runtime, with the network's model loaded.

    Parameters
    ----------
    scheme : the requantization rule of the comparison, where the runtime has kernels of several (LiteRT: reference kernels,
        or optimized ones for litert_optimized).

    Raises
    ------
    WorkloadError : an unknown runtime, one that is not installed, or one that does not read this model's format.
    """
    if name not in get_args(RuntimeName):
        raise WorkloadError(f"expected {' or '.join(get_args(RuntimeName))}, got {name}", field="--check")
    if network.runtime != name:
        wanted = f"a comparison with {network.runtime}" if network.runtime else "no comparison"
        raise WorkloadError(f"expected {wanted} for this model, got {name}", file=network.path or None, field="--check")
    try:
        if name == "litert":
            from accelsim.reference.litert import litert

            return litert(network, is_optimized=scheme == "litert_optimized")
        from accelsim.reference.onnx_runtime import onnx_runtime

        return onnx_runtime(network)
    except ImportError as error:
        package = {"litert": "accelsim[tflite]", "onnxruntime": "onnxruntime"}[name]
        raise WorkloadError(f"a comparison with {name} needs: pip install {package}", field="--check") from error
