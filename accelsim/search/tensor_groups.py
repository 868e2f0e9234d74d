"""Which activations share a width: by the quantizers of a float network, or, of layers alone, by what those layers do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placement import Placement
from accelsim.workload.network import Network
from accelsim.workload.operation import Move, Pooling, Resize


@dataclass(frozen=True)
class TensorGroups:
    """Activations with one width.

    Parameters
    ----------
    of_tensor : tensor of the network's layers -> its group; tensors of integers (indices) have none.
    named : what users may call a group -> the group.
    written : group -> the layers (or inputs of the network) whose rules in a `BitPolicy` decide on it.
    inputs, outputs : groups of the network's inputs and outputs.
    """

    of_tensor: Mapping[str, str]
    named: Mapping[str, str]
    written: Mapping[str, tuple[str, ...]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def placed(cls, model: FloatModel, placement: Placement) -> TensorGroups:
        """Those of a float network's quantizers."""
        of_tensor: dict[str, str] = {}
        for layer in model.translation.layers:
            origin = model.translation.origins[layer.name]
            pairs = [*zip(layer.inputs, origin.operands, strict=False), (layer.output, origin.written)]
            of_tensor |= {tensor.name: placement.group_of(name).name for tensor, name in pairs if name in placement}
        named = {tensor.name: tensor.group for tensor in placement.tensors}
        inputs, outputs = ([named[name] for name in names if name in named] for names in (model.inputs, model.outputs))
        written = {name: group.layers for name, group in placement.groups.items()}
        return cls(of_tensor, named, written, tuple(inputs), tuple(outputs))

    @classmethod
    def of_layers(cls, network: Network) -> TensorGroups:
        """Those of layers without a model: what pooling, resizing and moves write is as wide as what they read."""
        of_tensor: dict[str, str] = {}
        written: dict[str, tuple[str, ...]] = {}
        inputs: list[str] = []
        for layer in network.layers:
            for tensor in layer.inputs:
                if tensor.name not in of_tensor:
                    of_tensor[tensor.name] = tensor.name
                    inputs.append(tensor.name)
                    written[tensor.name] = (tensor.name,)
            name = layer.output.name
            if isinstance(layer.operation, Pooling | Move | Resize) and layer.inputs:
                of_tensor[name] = of_tensor[layer.inputs[0].name]
            else:
                of_tensor[name] = name
                written[name] = (layer.name,)
        ends = network.outputs or (network.layers[-1].output.name,)
        outputs = tuple(of_tensor[name] for name in ends if name in of_tensor)
        return cls(of_tensor, of_tensor, written, tuple(inputs), outputs)
