"""Outputs whose scale is found during the run: what waits for the range, and the pass that follows.

The scale comes from the smallest and the largest accumulator of the whole output, so nothing can be requantized before the
layer's last product is in (dynamic quantization: Gholami et al. 2021, arXiv 2103.13630, section III-D: the range is computed
"for each activation map during runtime", at "a very high overhead"). Such a layer runs as two:

1. The grid layer writes its accumulators, at their full width, where it would have written its outputs. They leave through
   the requantizer as fast as outputs do; its comparison with the extremes so far is taken to cost what a scaling does.
2. A pass of the vector unit reads them again, scales them, and writes the outputs at their own width.

The accumulators stay on chip where one buffer holds inputs and outputs and they take at most half of it; elsewhere they go
through DRAM. Both halves have a row in the result, so that the second shows what the dynamic range costs. Left out: the
few cycles in which the scale is made from the range.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.hardware.accelerator import Accelerator
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.operation import Activation

#: Ends of the names of the accumulators and of the pass that a layer with a dynamic range gets.
_ACCUMULATORS, PASS_SUFFIX = ".accumulators", ".requantize"


def with_range_passes(network: Network, accelerator: Accelerator) -> Network:
    """The network with every layer of a dynamic range as two; itself, where there is none.

    Raises
    ------
    WorkloadError : names that the new layers and tensors would share with old ones.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> from accelsim.workload.operation import MatMul
    >>> from accelsim.workload.tensor import Tensor
    >>> x, w, y = Tensor("x", (1, 64), 8), Tensor("w", (10, 64), 8, is_constant=True), Tensor("y", (1, 10), 8)
    >>> fc = Layer("fc", MatMul(m=1, k=64, n=10), (x,), y, weights=w, has_dynamic_range=True)
    >>> for layer in with_range_passes(Network("net", (fc,)), load_accelerator("edge_16x16")).layers:
    ...     print(layer.name, layer.kind, layer.output.name, layer.output.bits)
    fc matmul y.accumulators 32
    fc.requantize activation y 8
    """
    if not any(layer.has_dynamic_range for layer in network.layers):
        return network
    bits = accelerator.accumulators.bits
    layers = [half for layer in network.layers
              for half in (_halves(layer, bits) if layer.has_dynamic_range else (layer,))]
    return Network(network.name, tuple(layers), network.outputs, network.unsupported)


def range_pass_inputs(network: Network) -> frozenset[str]:
    """Names of the accumulators that wait for a range in a network from `with_range_passes`."""
    return frozenset(layer.inputs[0].name for layer in network.layers if _is_pass(layer))


def _halves(layer: Layer, accumulator_bits: int) -> tuple[Layer, Layer]:
    output = layer.output
    accumulators = replace(output, name=output.name + _ACCUMULATORS, bits=accumulator_bits)
    return (replace(layer, output=accumulators, fused=(), has_dynamic_range=False),
            Layer(layer.name + PASS_SUFFIX, Activation("dynamic_quantize", output.shape), (accumulators,), output,
                  fused=layer.fused))


def _is_pass(layer: Layer) -> bool:
    return (isinstance(layer.operation, Activation) and layer.operation.kind == "dynamic_quantize"
            and layer.inputs[0].name == layer.output.name + _ACCUMULATORS)
