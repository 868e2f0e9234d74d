"""Quantized ONNX models with their integers: QDQ pairs, or quantized operators.

The network is the one that `import_onnx` gives; beside it stands what each layer computes, as onnxruntime computes it on a
CPU. Layers between integer tensors are all there is: a model that computes a layer in floating point is refused, since no
hardware without floating point could run it.

Exactness, as the tests show it on networks that `onnxruntime.quantization` made, against onnxruntime 1.31 on x86 with VNNI
(without it, products of uint8 by int8 may saturate there):

==============================================  ==========================================================================
model                                           outputs that differ
==============================================  ==========================================================================
quantized operators, uint8 or int8              none, end to end
QDQ, uint8; int8 in a session with              none, end to end
"session.qdqisint8allowed" = "1"
QDQ, int8, default session                      1 in 500,000, by 1: it runs some layers in float32
QDQ, weights of 4 bits                          none seen; it runs products in float32, where an output next to a tie
                                                could differ by 1
QDQ, activations of 16 bits                     1 in 1,000, by 1: it adds up float32 numbers
QDQ, activations of 2 or 4 bits                 none, with basic optimizations; its extended ones drop a ReLU before a
                                                QuantizeLinear to 4 bits whatever its zero point
a sum, factor or batch normalization left       1 in 100, by 1: it rounds to the accumulator's scale here
real behind a product
weights with a scale a block                    1 in 50, by 1: it adds real numbers, here sums of blocks are rounded to
                                                the accumulator's unit (`accelsim.numerics.scale_groups`)
a linear Resize of integers behind a            by 1: its arithmetic depends on the layout that it chooses
convolution
==============================================  ==========================================================================

References
----------
onnxruntime `docs/ContribOperators.md` (QLinear operators), `docs/performance/model-optimizations/quantization.md` (formats);
ONNX Operators.md, QuantizeLinear and DequantizeLinear.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from accelsim.errors import NumericsError, UnsupportedOperatorError, WorkloadError
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.kernel import Kernel
from accelsim.numerics.rule import Rule
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.onnx.activations import Activations, NotQuantized, Written
from accelsim.workload.onnx.grid_kernels import grid_kernel
from accelsim.workload.onnx.importer import network_of, translated, translated_model
from accelsim.workload.onnx.origin import Origin
from accelsim.workload.onnx.parameters import Parameters
from accelsim.workload.onnx.translation import Translation
from accelsim.workload.onnx.vector_kernels import vector_kernel
from accelsim.workload.quantized_network import ModelInput, ModelOutput, QuantizedLayer, QuantizedNetwork
from accelsim.workload.tensor import Shape

if TYPE_CHECKING:
    from onnx import ModelProto

#: How onnxruntime's CPU kernels requantize: the rule of models that state none (`stated_rule`).
RULE = Rule("float32_nearest_even")

# Widths of tensors in floating point, of which a quantized model has none that matter.
_BITS = 8

# What a node that breaks ONNX's specification surfaces as, as in `importer`.
_BREACHES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def import_quantized_onnx(
    path: str | Path, *, batch: int | None = None, shapes: Mapping[str, Shape] = MappingProxyType({})
) -> QuantizedNetwork:
    """A network with its integers from a quantized ONNX file (and the files beside it that hold its weights).

    Parameters
    ----------
    path : the model: QDQ as onnxruntime's `quantize_static` writes it, 2 to 16 bits, or quantized operators.
    batch, shapes : as for `import_onnx`.

    Raises
    ------
    WorkloadError : what `import_onnx` raises; layers in floating point; wrong scales, zero points or weights; weights that
        are missing.
    UnsupportedOperatorError : operators that are not simulated.
    """
    path = Path(path)
    translation = translated(path, batch=batch, shapes=shapes, weight_bits=_BITS, input_bits=_BITS)
    return _quantized_network(translation, path, file=str(path))


def quantized_network_of(model: ModelProto, name: str, *, batch: int | None = None) -> QuantizedNetwork:
    """The same for a model in memory, called `name`; it has no file that a runtime could be asked about.

    Raises
    ------
    WorkloadError, UnsupportedOperatorError : as `import_quantized_onnx`.
    """
    path = Path(name)
    translation = translated_model(model, path, batch=batch, shapes={}, weight_bits=_BITS, input_bits=_BITS)
    return _quantized_network(translation, path, file="")


def _quantized_network(translation: Translation, path: Path, *, file: str) -> QuantizedNetwork:
    """What every layer computes; `file` is that of the model, "" if there is none."""
    network = network_of(translation, path)
    if network.unsupported:
        found = ", ".join(f"{name} x{count}" for name, count in network.unsupported.items())
        raise UnsupportedOperatorError(f"operators that accelsim does not simulate: {found}", file=str(path))
    model = Activations(translation, Parameters(translation.graph, path))
    origins = translation.origins
    layers = {layer.name: _quantized_layer(layer, origins[layer.name], model, path) for layer in network.layers}
    return QuantizedNetwork(
        network=network, layers=layers, inputs=tuple(_inputs(network, model)), outputs=tuple(_outputs(network, model)),
        rule=translation.graph.rule or RULE, runtime="onnxruntime" if file else "", path=file)


def _quantized_layer(layer: Layer, origin: Origin, model: Activations, path: Path) -> QuantizedLayer:
    kernel: GridKernel | Kernel
    try:
        kernel, written = _kernel(layer, origin, model)
    except NotQuantized as reason:
        raise WorkloadError(str(reason), file=str(path), field=layer.name) from None
    except NumericsError as error:
        field = f"{layer.name}: {error.field}" if error.field else layer.name
        raise WorkloadError(error.problem, file=str(path), field=field) from None
    except WorkloadError as error:
        field = layer.name if error.field in (None, layer.name) else f"{layer.name}: {error.field}"
        raise WorkloadError(error.problem, file=str(path), field=field) from None
    except _BREACHES as error:
        raise WorkloadError(f"not a valid {origin.node.op}: {error}", file=str(path), field=layer.name) from error
    shape = model.translation.shape
    return QuantizedLayer(
        kernel=kernel, input_shapes=tuple(shape(name) for name in origin.operands), output_shape=shape(origin.written),
        output=written.qparams, model_output=written.model_output)


def _kernel(layer: Layer, origin: Origin, model: Activations) -> tuple[GridKernel | Kernel, Written]:
    return grid_kernel(layer, origin, model) if layer.is_on_grid else vector_kernel(layer, origin, model)


def _inputs(network: Network, model: Activations) -> Iterator[ModelInput]:
    """Tensors that no layer writes, in the order in which they are read."""
    written = {layer.output.name for layer in network.layers}
    read = dict.fromkeys(tensor.name for layer in network.layers for tensor in layer.inputs)
    for name in read:
        if name not in written:
            yield ModelInput(name, name, model.translation.shape(name), model.given(name), not model.holds_integers(name))


def _outputs(network: Network, model: Activations) -> Iterator[ModelOutput]:
    for name in model.translation.graph.outputs:
        root = model.translation.root(name)
        if root in network.outputs:
            yield ModelOutput(name, root, model.translation.shape(name), model.read(name), not model.holds_integers(name))
