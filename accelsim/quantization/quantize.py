"""From a float network to integers: fold, place, calibrate, round."""

from __future__ import annotations

from accelsim.quantization.activation_quantization import ActivationGrids, activation_grids, quantized_constants
from accelsim.quantization.bit_policy import BitPolicy
from accelsim.quantization.calibration import Told
from accelsim.quantization.calibration_set import CalibrationSet, Source
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.input_sums import input_sums
from accelsim.quantization.layer_quantization import QuantizationTask, quantized_layers
from accelsim.quantization.preparation.batch_norm_folding import fold_batch_norms
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.quantization.recipe import NONE, Recipe
from accelsim.quantization.recipe_steps import correction_of, later_steps, prepared


def quantize(model: FloatModel, data: Source | None = None, policy: BitPolicy | None = None, *,
             recipe: Recipe | None = None, told: Told | None = None) -> QuantizedModel:
    """A network with integers.

    Batch normalizations are folded, and the recipe's steps prepare the network; quantizers stand where the machine's layers
    write; ranges of activations come from `data`; then each layer's weights and bias are rounded, one after the other.

    Parameters
    ----------
    model : in floating point.
    data : to calibrate on: a file, a folder, arrays, an iterable (`CalibrationSet`); None where no range setter needs any.
    policy : widths, schemes, range setters by layer; 8 bits by default.
    recipe : steps that prepare the network, and ranges and roundings where the policy leaves them open; none if None.
    told : for a progress bar, told of batches and of iterations.

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
    policy, recipe = policy or BitPolicy(), recipe or NONE
    model, folded = fold_batch_norms(model)
    samples = None if data is None else CalibrationSet(data, model)
    ready = prepared(recipe, model, policy, samples)
    model, placement, choices = ready[:3]
    grids, dynamic = activation_grids(model, placement, choices, samples, told)
    sums = input_sums(model, choices.weights, samples, told)
    constants = quantized_constants(model, placement, choices, grids)
    has_data = samples is not None
    layers = quantized_layers(QuantizationTask(
        model, placement, ActivationGrids(grids, dynamic), constants, choices, policy.bias_bits, sums, samples,
        correction_of(recipe, has_data), told))
    steps = () if recipe is NONE else (*ready.steps, *later_steps(recipe, ready, layers, has_data=has_data))
    return QuantizedModel(
        model, placement, grids, layers.weights, choices.activations, policy, dynamic=dynamic,
        constants=constants, remarks=(*folded, *ready.remarks, *layers.remarks), steps=steps)
