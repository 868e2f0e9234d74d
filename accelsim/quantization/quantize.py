"""From a float network to integers: fold, place, calibrate, round."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from accelsim.numerics.qparams import QParams
from accelsim.quantization.activation_quantization import activation_grids, quantized_constants
from accelsim.quantization.bit_policy import BitPolicy
from accelsim.quantization.calibration import Told
from accelsim.quantization.calibration_set import CalibrationSet, Source
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placement import Placement
from accelsim.quantization.placing import place
from accelsim.quantization.preparation.batch_norm_folding import fold_batch_norms
from accelsim.quantization.quantized_model import QuantizedModel, QuantizedWeights
from accelsim.quantization.resolved_policy import ResolvedPolicy, resolved
from accelsim.quantization.weight_quantization import quantized_bias, weight_grid
from accelsim.quantization.weight_rounding import WEIGHT_ROUNDINGS, RoundingTask


def quantize(model: FloatModel, data: Source | None = None, policy: BitPolicy | None = None, *,
             told: Told | None = None) -> QuantizedModel:
    """A network with integers.

    Batch normalizations are folded; quantizers stand where the machine's layers write; ranges of activations come from
    `data`; then each layer's weights and bias are rounded, one after the other.

    Parameters
    ----------
    model : in floating point.
    data : to calibrate on: a file, a folder, arrays, an iterable (`CalibrationSet`); None where no range setter needs any.
    policy : widths, schemes, range setters by layer; 8 bits by default.
    told : for a progress bar, told of batches.

    Raises
    ------
    WorkloadError : operators that the machine does not execute, numbers that are not finite, data that do not fit.
    QuantizationError : a policy that does not go with the network.

    Examples
    --------
    >>> import numpy as np
    >>> from accelsim.workload.onnx.graph import GraphInput, Node
    >>> node = Node("Gemm", "fc", ("x", "w"), ("y",))
    >>> net = FloatModel("net", (node,), {"w": np.array([[0.5], [-1.0]], np.float32)}, {"x": GraphInput((1, 2), 1)}, ("y",))
    >>> quantized = quantize(net, np.array([[[1.0, 2.0]], [[3.0, -1.0]]]), BitPolicy.of(4, 8))
    >>> quantized.weights["fc"].integers.tolist(), quantized.grid_of("x").zero_point.item()
    ([[[4, -7]]], 64)
    """
    policy = policy or BitPolicy()
    model, remarks = fold_batch_norms(model)
    placement = place(model, policy.placement)
    choices = resolved(policy, model, placement)
    samples = None if data is None else CalibrationSet(data, model)
    grids, dynamic = activation_grids(model, placement, choices, samples, told)
    weights, widened = _weights(model, placement, choices, grids, policy.bias_bits)
    return QuantizedModel(
        model, placement, grids, weights, choices.activations, policy, dynamic=dynamic,
        constants=quantized_constants(model, placement, choices, grids), remarks=(*remarks, *widened))


def _weights(model: FloatModel, placement: Placement, choices: ResolvedPolicy, grids: Mapping[str, QParams],
             bias_bits: int) -> tuple[dict[str, QuantizedWeights], list[str]]:
    """Integers of all layers, and remarks on scales that had to grow."""
    done: dict[str, QuantizedWeights] = {}
    remarks = []
    for layer in model.layers:
        choice = choices.weights[layer.name]
        grid = grids.get(placement.group_of(layer.input).name)
        scale = None if grid is None else float(np.asarray(grid.scale))
        qparams, widened = weight_grid(layer, choice, grid, bias_bits, model)
        if widened:
            remarks.append(f"{layer.name}: weight scales of {widened} channels grew so that the bias fits {bias_bits} bits")
        task = RoundingTask(layer, qparams, model, placement, grids, done)
        integers = WEIGHT_ROUNDINGS[choice.rounding](task)
        bias, unit = (None, None) if layer.bias is None or scale is None else quantized_bias(
            layer, qparams, scale, bias_bits, model)
        done[layer.name] = QuantizedWeights(choice, qparams, integers, bias, unit)
    return done, remarks
