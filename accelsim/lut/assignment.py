"""How a whole network gets its bits: one `OperandBits` a layer, one width a tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from accelsim.errors import TableError
from accelsim.lut.operand_bits import OperandBits
from accelsim.lut.operand_tensors import OperandTensors, own_bits
from accelsim.problem import did_you_mean
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.tensor import Tensor

#: Which bits every layer has, by its name.
Assignment = Mapping[str, OperandBits]


def assigned(network: Network, assignment: Assignment) -> Network:
    """The network with these bits on its tensors.

    Accumulators belong to the accelerator, so `accumulator_bits` changes nothing here.

    Raises
    ------
    TableError : a layer without bits, bits for no layer, or a tensor that two layers would give two widths.

    Examples
    --------
    >>> from accelsim.workload.load import load_network
    >>> network = load_network("mlperf_tiny_autoencoder")
    >>> bits = {layer.name: OperandBits(4, 8, 8) for layer in network.layers}
    >>> {(layer.weight_bits, layer.input_bits, layer.output.bits) for layer in assigned(network, bits).layers}
    {(4, 8, 8)}
    """
    check_layers(network, assignment)
    weights: dict[str, int] = {}
    widths: dict[str, tuple[int, str]] = {}
    for layer in network.layers:
        bits, tensors = assignment[layer.name], OperandTensors.of(layer)
        _check_kind(layer, bits)
        for tensor in tensors.inputs:
            _set(widths, tensor, bits.input_bits, layer.name)
        _set(widths, tensors.output, bits.output_bits, layer.name)
        if tensors.weights is None or bits.weight_bits is None:
            continue
        if layer.weights is not None:
            weights[layer.name] = bits.weight_bits
        else:
            _set(widths, tensors.weights, bits.weight_bits, layer.name)
    return _with_widths(network, weights, {name: bits for name, (bits, _) in widths.items()})


def uniform(network: Network, *, weight_bits: int, activation_bits: int) -> Network:
    """The network with one width for the weights of its grid layers and one for all activations.

    >>> from accelsim.workload.load import load_network
    >>> network = load_network("mlperf_tiny_resnet8")
    >>> uniform(network, weight_bits=4, activation_bits=4).weight_bytes * 2 == network.weight_bytes
    True
    """
    widths = {tensor.name: activation_bits for layer in network.layers for tensor in _activations(layer)}
    weights = {layer.name: weight_bits for layer in network.layers if layer.is_on_grid and layer.weights is not None}
    return _with_widths(network, weights, widths)


def own_assignment(network: Network) -> dict[str, OperandBits]:
    """The bits that the layers of a network have."""
    return {layer.name: own_bits(layer) for layer in network.layers}


def check_layers(network: Network, assignment: Assignment) -> None:
    """Refuse an assignment that leaves a layer out or names one that is not there."""
    names = {layer.name for layer in network.layers}
    for name in assignment:
        if name not in names:
            raise TableError(f"no such layer in {network.name}{did_you_mean(name, names)}", field=name)
    for layer in network.layers:
        if layer.name not in assignment:
            raise TableError(f"expected bits for every layer of {network.name}, got none", field=layer.name)


def _check_kind(layer: Layer, bits: OperandBits) -> None:
    if layer.is_on_grid and bits.weight_bits is None:
        raise TableError(f"expected bits of weights for a layer of the PE grid, got {bits}", field=layer.name)
    if not layer.is_on_grid and bits.weight_bits is not None:
        raise TableError(f"expected no bits of weights for a layer of the vector unit, got {bits}", field=layer.name)


def _activations(layer: Layer) -> tuple[Tensor, ...]:
    tensors = OperandTensors.of(layer)
    second = tensors.weights
    return (*tensors.inputs, *(() if second is None or layer.weights is not None else (second,)), tensors.output)


def _set(widths: dict[str, tuple[int, str]], tensor: Tensor, bits: int, layer: str) -> None:
    known, other = widths.setdefault(tensor.name, (bits, layer))
    if known != bits:
        raise TableError(f"expected one width for {tensor.name}, got {bits} bits here and {known} in {other}", field=layer)


def _with_widths(network: Network, weights: Mapping[str, int], widths: Mapping[str, int]) -> Network:
    def changed(tensor: Tensor) -> Tensor:
        return replace(tensor, bits=widths[tensor.name]) if tensor.name in widths else tensor

    layers = []
    for layer in network.layers:
        constants = layer.weights
        if constants is not None and layer.name in weights:
            constants = replace(constants, bits=weights[layer.name])
        layers.append(replace(layer, inputs=tuple(changed(tensor) for tensor in layer.inputs), output=changed(layer.output),
                              weights=constants))
    return replace(network, layers=tuple(layers))
