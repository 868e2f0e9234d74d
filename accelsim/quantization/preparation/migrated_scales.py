"""Scale migration in a network: outlying channels of a layer normalization hand magnitude to the weights behind it.

The normalization's gain and shift are divided by s, the weights of every layer that reads it are multiplied. One whose
numbers anything but matrix products reads (the shortcut of a residual block) stays as it is.

References
----------
Xiao et al. 2023, "SmoothQuant" (arXiv 2211.10438), equation 4.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.equalization.cross_layer import input_ranges, multiplied_inputs
from accelsim.quantization.equalization.scale_migration import BALANCED, migration_factors
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.preparation.channel_extremes import channel_extremes
from accelsim.quantization.preparation.edited import Edited
from accelsim.workload.onnx.graph import Node


def migrate_scales(model: FloatModel, data: CalibrationSet, *, alpha: float = BALANCED) -> Edited:
    """The network with smoother inputs of matrix products.

    Parameters
    ----------
    data : shows the inputs' magnitudes.
    alpha : from 0, all goes to the inputs, to 1, all goes to the weights.

    Raises
    ------
    NumericsError : an alpha outside 0..1.
    WorkloadError : what the set raises.
    """
    layers = {layer.node.name: layer for layer in model.layers}
    norms = {node.name: node for node in model.nodes if node.op == "LayerNormalization"}
    readers = {name: _readers(node, layers, model) for name, node in norms.items()}
    seen = channel_extremes(model, {norms[name].outputs[0]: -1 for name, found in readers.items() if found}, data)
    remarks = []
    for name, node in norms.items():
        if not readers[name]:
            remarks.append(f"{name}: scales not migrated, as other operators than matrix products read it")
            continue
        # As edits before left them.
        current = {layer.name: layer for layer in model.layers}
        behind = [current[layer.name] for layer in readers[name]]
        largest = seen[node.outputs[0]].largest
        weights = np.max([input_ranges(layer.weights, largest.size) for layer in behind], axis=0)
        factors = migration_factors(largest, weights, alpha=alpha)
        for place in (1, 2):
            if node.input(place):
                array = model.arrays[node.inputs[place]]
                model = model.with_operand(name, place, (array / factors).astype(array.dtype), f"{name}_{place}")
        for layer in behind:
            model = layer.edited(model, weights=multiplied_inputs(layer.weights.astype(np.float64), factors))
        remarks.append(f"{name} -> {', '.join(layer.name for layer in behind)}: scales migrated by factors of "
                       f"{factors.min():.3g} to {factors.max():.3g}")
    return Edited(model, tuple(remarks))


def _readers(node: Node, layers: Mapping[str, FloatLayer], model: FloatModel) -> list[FloatLayer]:
    """The matrix products that alone read a normalization of its last axis; none where it cannot be scaled by channel."""
    tensor = node.outputs[0]
    width = model.sizes.get(tensor, (0,))[-1]
    axis = node.attribute("axis", -1)
    parameters = [model.arrays.get(name) for name in node.inputs[1:] if name]
    is_plain = axis in (-1, len(model.sizes.get(tensor, ())) - 1) and all(
        array is not None and array.shape == (width,) for array in parameters)
    found = [layers.get(reader.node.name) for reader in model.readers(tensor) if reader.position == 0]
    behind = [layer for layer in found if layer is not None and layer.kind == "matmul" and layer.weights.shape[0] == 1
              and layer.weights.shape[2] == width and not layer.node.integer("transA", 0)]
    is_alone = len(behind) == len(model.readers(tensor)) and tensor not in model.outputs
    return behind if is_plain and is_alone else []
