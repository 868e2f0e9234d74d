"""Constants of integers as a float operator reads them: each behind a DequantizeLinear of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.quantization.export_tensors import ExportTensors
from accelsim.quantization.float_layer import FloatLayer, addend_place
from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.quantization.weight_scales import StatedScales, stated_scales


class IntegerOperands:
    """Weights, biases and other constants of a quantized network, added to a graph when they are first asked for.

    Parameters
    ----------
    quantized : the network.
    graph : that grows.
    """

    def __init__(self, quantized: QuantizedModel, graph: ExportTensors) -> None:
        self._quantized = quantized
        self._float = quantized.model
        self._graph = graph
        self._weights = {(layer.node.name, layer.node.inputs.index(layer.weights_name)): layer
                         for layer in self._float.layers}
        self._biases = {place: layer for layer in self._float.layers if (place := self._bias_place(layer)) is not None}

    def dequantized(self, node: str, place: int) -> str | None:
        """The real numbers that one input of a node reads; None where it is no constant of integers.

        Raises
        ------
        WorkloadError : scales that ONNX cannot state.
        """
        key = node, place
        if key in self._weights:
            layer = self._weights[key]
            own = self._quantized.weights[layer.name]
            return self._put(self._name(layer.weights_name, f"{layer.name}_weights"), layer.layout.restored(own.integers),
                             own.qparams, stated_scales(layer, own.qparams, self._float), own.lowered)
        if key in self._biases:
            return self._put_bias(self._biases[key], *key)
        if key in self._quantized.constants:
            operand, name = self._quantized.constants[key], self._operand_name(*key)
            plain = StatedScales(operand.qparams.scale.astype(np.float32), operand.qparams.zero_point, {})
            return self._put(self._name(name, f"{node}_{place}"), operand.integers, operand.qparams, plain)
        return None

    def _bias_place(self, layer: FloatLayer) -> tuple[str, int] | None:
        """Node and input that hold a layer's integer bias.

        Of several matrices ONNX has no list that the requantizer could add: such a bias stays real, and is rounded to units
        of the accumulator where it is read.
        """
        if self._quantized.weights[layer.name].bias is None:
            return None
        if layer.bias_node is None:
            return layer.node.name, 2
        if layer.weights.shape[0] > 1 or layer.layout.channel_axis is None:
            return None
        return layer.bias_node.name, addend_place(layer.bias_node, self._float)

    def _operand_name(self, node: str, place: int) -> str:
        return next(each for each in self._float.nodes if each.name == node).inputs[place]

    def _name(self, own: str, other: str) -> str:
        """A constant's own name where one node alone reads it."""
        return own if len(self._float.readers(own)) == 1 else other

    def _put(self, name: str, integers: NDArray[Any], qparams: QParams, stated: StatedScales,
             lowered: LoweredWeights | None = None) -> str:
        stored = self._graph.integers(f"{name}_quantized", integers, qparams.qtype)
        if lowered is not None:
            self._graph.codes[stored] = lowered.code
        scales = self._graph.scales(name, stated.scale, stated.zero_point, qparams.qtype)
        result = self._graph.free(f"{name}_dequantized")
        self._graph.put("DequantizeLinear", f"{name}_DequantizeLinear", (stored, *scales), (result,), stated.attributes)
        return result

    def _put_bias(self, layer: FloatLayer, node: str, place: int) -> str:
        """A bias in units of the accumulator, without a zero point."""
        own = self._quantized.weights[layer.name]
        assert own.bias is not None
        assert own.bias_scale is not None
        is_subtracted = layer.bias_node is not None and layer.bias_node.op == "Sub"
        name = self._name(self._operand_name(node, place), f"{layer.name}_bias")
        integers = (-own.bias if is_subtracted else own.bias).reshape(self._bias_shape(layer))
        is_list = own.bias_scale.size > 1
        stored = self._graph.bias(name, integers)
        unit = self._graph.reals(f"{name}_scale", own.bias_scale if is_list else own.bias_scale.reshape(()))
        result = self._graph.free(f"{name}_dequantized")
        self._graph.put("DequantizeLinear", f"{name}_DequantizeLinear", (stored, unit), (result,),
                        {"axis": integers.ndim + layer.layout.product_axis} if is_list else {})
        return result

    def _bias_shape(self, layer: FloatLayer) -> tuple[int, ...]:
        """A list, a column where channels are rows; of the rank of the product where an Add of three or more axes adds it.

        onnxruntime (1.31) makes a Gemm of such a MatMul and an Add of a list, and of int8 activations one that it refuses.
        """
        rank = 1 if layer.bias_node is None else len(self._float.sizes[layer.output])
        if layer.layout.product_axis != -1:
            return *(1,) * (rank - 2), layer.channels, 1
        return (*(1,) * (rank - 1), layer.channels) if rank > 2 else (layer.channels,)
