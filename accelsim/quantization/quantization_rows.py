"""What was done to each layer, as records for tables and files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from accelsim.quantization.error_measures import sqnr_db
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.quantized_model import QuantizedModel


def layer_rows(quantized: QuantizedModel) -> list[dict[str, Any]]:
    """One record a layer, in the order of execution; what a layer does not have is None.

    Keys: layer, kind; weights, weight_bits, weight_format, weight_symmetry, granularity, weight_range, rounding,
    weight_sqnr_db, bias_bits; output, output_bits, output_symmetry, output_range, output_scale, output_zero_point. `weights`
    counts them, codes have no symmetry, range and rounding, `output` is the tensor's name, a range is the name of its
    setter, "fixed", "dynamic", or "as " and the tensor whose grid it is.
    """
    weighted = {layer.name: layer for layer in quantized.model.layers}
    translation = quantized.model.translation
    origins = translation.origins
    return [{"layer": layer.name, "kind": layer.kind, **_weights(weighted.get(layer.name), quantized),
             **_output(origins[layer.name].written, quantized)} for layer in translation.layers]


def _weights(layer: FloatLayer | None, quantized: QuantizedModel) -> dict[str, Any]:
    keys = ("weights", "weight_bits", "weight_format", "weight_symmetry", "granularity", "weight_range", "rounding",
            "weight_sqnr_db", "bias_bits")
    if layer is None:
        return dict.fromkeys(keys)
    own = quantized.weights[layer.name]
    scheme = own.choice.scheme
    size = f" {scheme.granularity.size}" if scheme.granularity.size is not None else ""
    ratio = sqnr_db(layer.weights, own.dequantized)
    return dict(zip(keys, (
        int(layer.weights.size), own.bits, own.choice.format.name, scheme.symmetry if own.lowered is None else None,
        f"{scheme.granularity.kind}{size}", own.choice.setter.name if own.lowered is None else None,
        own.choice.rounding.name if own.lowered is None else None, ratio if math.isfinite(ratio) else None,
        None if own.bias is None else quantized.policy.bias_bits), strict=True))


def _output(tensor: str, quantized: QuantizedModel) -> dict[str, Any]:
    group = quantized.placement.group_of(tensor)
    choice = quantized.choices[group.name]
    grid = quantized.activations.get(group.name)
    if tensor not in group.owners:
        source = f"as {group.name}"
    elif grid is None:
        source = "dynamic"
    else:
        source = "fixed" if group.fixed is not None else choice.setter.name
    return {"output": tensor, "output_bits": choice.scheme.bits, "output_symmetry": choice.scheme.symmetry,
            "output_range": source, "output_scale": None if grid is None else float(np.asarray(grid.scale)),
            "output_zero_point": None if grid is None else int(np.asarray(grid.zero_point))}


def placement_rows(quantized: QuantizedModel) -> Iterator[dict[str, str]]:
    """One record a tensor with a quantizer: tensor, layer, group, reason."""
    for tensor, layer, group, reason in quantized.placement.tensors:
        yield {"tensor": tensor, "layer": layer, "group": group, "reason": reason}


def whole_sqnr_db(quantized: QuantizedModel) -> float:
    """Signal-to-quantization-noise ratio over the weights of all layers together."""
    signal = noise = 0.0
    for layer in quantized.model.layers:
        real = layer.weights.astype(np.float64)
        signal += float(np.sum(real**2))
        noise += float(np.sum((real - quantized.weights[layer.name].dequantized) ** 2))
    return math.inf if noise == 0 else 10 * math.log10(signal / noise) if signal else -math.inf


def mean_weight_bits(quantized: QuantizedModel) -> float:
    """Bits of a weight, on average."""
    sizes = {name: own.integers.size for name, own in quantized.weights.items()}
    total = sum(sizes.values())
    return sum(size * quantized.weights[name].bits for name, size in sizes.items()) / total if total else 0.0
