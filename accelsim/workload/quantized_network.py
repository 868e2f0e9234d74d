"""A network with its integers: what every layer computes, under which rule its model was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.errors import WorkloadError
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.kernel import Kernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rounding import Rounding
from accelsim.numerics.rule import Rule
from accelsim.workload.network import Network
from accelsim.workload.tensor import Shape


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """What one layer computes.

    Parameters
    ----------
    kernel : a `GridKernel` for a layer on the PE grid, else a `Kernel`.
    input_shapes : in the model's layout, one an input of the layer: reshaped views of other tensors included.
    output_shape : in the model's layout.
    output : scale and zero point of what it writes.
    model_output : the model's own name (or number) of the tensor that it writes, by which a runtime knows it; "" if it is
        not a tensor of the model.
    """

    kernel: GridKernel | Kernel
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    output: QParams
    model_output: str = ""


@dataclass(frozen=True, eq=False)
class ModelInput:
    """An input of the model.

    Parameters
    ----------
    name : as the model calls it, the key in an ``.npz`` of inputs.
    tensor : the network's tensor that it becomes.
    shape : in the model's layout.
    qparams : scale, zero point and type of the integers that the network reads.
    is_float : whether the model takes real numbers and quantizes them first (QuantizeLinear).
    rounding : of that quantization: half_even in ONNX, half_away in TFLite.
    """

    name: str
    tensor: str
    shape: Shape
    qparams: QParams
    is_float: bool = False
    rounding: Rounding = "half_even"


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """An output of the model: its name, the network's tensor, the model's shape, the integers' meaning."""

    name: str
    tensor: str
    shape: Shape
    qparams: QParams
    is_float: bool = False


@dataclass(frozen=True, eq=False)
class QuantizedNetwork:
    """A `Network` and the integers of its layers; both come from one model, and the network times alike without them.

    Parameters
    ----------
    network : layers, tensors, widths.
    layers : what each layer computes, by the layer's name.
    inputs, outputs : of the model.
    rule : under which the model's own runtime requantizes (``--rounding model``).
    runtime : "litert" or "onnxruntime", whose integers these should be; "" if none is known.
    path : the model's file, for a comparison with its runtime; "" if it has none.

    Raises
    ------
    WorkloadError : a layer of the network without integers, or one whose integers are not simulated: scales that are found
        during the run; weights with more or fewer scales than the layer says.
    """

    network: Network
    layers: Mapping[str, QuantizedLayer]
    inputs: tuple[ModelInput, ...]
    outputs: tuple[ModelOutput, ...]
    rule: Rule
    runtime: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        for layer in self.network.layers:
            if layer.name not in self.layers:
                raise WorkloadError("expected a layer with integers, scales and zero points, got none", field=layer.name)
            if layer.has_dynamic_range:
                raise WorkloadError("expected scales known before the run, got a scale found during the run; such a layer "
                                    "is simulated without integers", field=layer.name)
            kernel = self.layers[layer.name].kernel
            if layer.is_on_grid != isinstance(kernel, GridKernel):
                raise WorkloadError("expected a grid kernel for a layer on the PE grid alone", field=layer.name)
            if isinstance(kernel, GridKernel) and _scale_groups(kernel) != layer.weight_scale_groups:
                raise WorkloadError(f"expected {layer.weight_scale_groups} weight scales a channel, got "
                                    f"{_scale_groups(kernel)}", field=layer.name)


def _scale_groups(kernel: GridKernel) -> int:
    """Weight scales of a channel."""
    return 1 if kernel.scale_groups is None else kernel.scale_groups.count
