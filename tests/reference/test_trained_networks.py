"""Trained networks run to the integers that their runtime computed: every tensor, chained and fed layer by layer."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from accelsim import load_accelerator, simulate, with_changes
from accelsim.reference.comparison import Comparison
from accelsim.reference.runtime import runtime_named
from accelsim.workload.input_values import samples
from accelsim.workload.load import load_quantized_network

NETWORKS = {
    "mlperf_resnet8": "mlperf_tiny/pretrainedResnet_quant.tflite",
    "mlperf_dscnn_kws": "mlperf_tiny/kws_ref_model.tflite",
    "tflm_hello_world": "tflm/hello_world_int8.tflite",
    "tflm_mbv2_224": "tflm/mobilenet_v2_quantized_1x3x224x224.tflite",
}

#: Bits over all layers as another program measured them, products added one by one: final and running sums without bias,
#: running sums of w * x with the zero point folded away, final sums with bias; for the networks whose inputs are known.
WIDTHS = {"tflm_hello_world": (17, 17, 17, 17), "tflm_mbv2_224": (19, 19, 19, 20)}

#: The same program's worst case of w * (x - z), which no input changes.
WORST_CASE = {"mlperf_resnet8": 24, "mlperf_dscnn_kws": 21, "tflm_hello_world": 19, "tflm_mbv2_224": 24}

#: Share of all outputs whose running sum, from 0, leaves 16 bits.
LEAVING_16_BITS = {"tflm_hello_world": 0.004, "tflm_mbv2_224": 0.009}

#: Each PE adds its own products to nothing but 0, after the zero point was taken off.
PLAIN_SUMS = {"pe_grid.dataflow": "output_stationary", "pe_grid.zero_points": "subtract", "accumulators.bits": 40,
              "accumulators.preloads_bias": False}


def data():
    folder = os.environ.get("ACCELSIM_TEST_DATA")
    if folder is None:
        pytest.skip("ACCELSIM_TEST_DATA is not set: the trained models are not here")
    return Path(folder)


def load(name):
    """(network, all inputs that there are golden tensors for)."""
    network = load_quantized_network(data() / "models" / NETWORKS[name])

    def array(file):
        with np.load(data() / "inputs" / file) as found:
            return found["x"]

    if name == "mlperf_resnet8":
        return network, (array("cifar_rgb_u8.npz").astype(np.int16) - 128).astype(np.int8)
    if name == "mlperf_dscnn_kws":
        return network, array("kws_mlperf_i8.npz")
    if name == "tflm_hello_world":
        return network, np.arange(-128, 128, dtype=np.int8).reshape(256, 1, 1)
    mean, deviation = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
    pixels = (array("photos224_rgb_u8.npz").astype(np.float32) / 255 - mean) / deviation  # ImageNet's own normalization
    return network, network.inputs[0].qparams.quantize(pixels.transpose(0, 3, 1, 2))


def golden(name):
    with np.load(data() / "golden" / f"{name}.npz") as found:
        return {key: found[key] for key in found.files}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_equals_the_golden_one_chained_from_the_inputs(name):
    network, inputs = load(name)
    expected, compared = golden(name), 0

    def told(sample, layer, output):
        nonlocal compared
        tensor = expected.get(f"t{network.layers[layer].model_output}")
        if tensor is not None and sample < len(tensor):
            np.testing.assert_array_equal(output.ravel(), tensor[sample].ravel(), err_msg=layer)
            compared += output.size

    count = len(expected["y_ref"])
    result = simulate(load_accelerator("edge_16x16"), network, inputs={"x": inputs[:count]}, rounding="model", told=told)
    assert compared > 0
    (outputs,) = result.outputs.values()
    np.testing.assert_array_equal(outputs.reshape(count, -1), expected["y_ref"].reshape(count, -1))
    assert result.overflows == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_equals_litert_chained_and_fed(name):
    pytest.importorskip("ai_edge_litert", reason="needs ai_edge_litert, to ask LiteRT itself")
    network, inputs = load(name)
    chip, arrays = load_accelerator("edge_16x16"), {"x": inputs[:2]}
    given = samples(network, arrays)
    litert = runtime_named("litert", network, scheme="litert_reference")
    chained, fed = Comparison(litert, given), Comparison(litert, given)
    simulate(chip, network, inputs=arrays, rounding="model", told=chained.told)
    simulate(chip, network, inputs=arrays, rounding="model", told=fed.told, fed=fed.expected)
    for comparison in (chained, fed):
        differing = {layer: found.differing for layer, found in comparison.differences.items()}
        assert differing == dict.fromkeys(network.layers, 0)


def measured(name, inputs):
    """The inputs that the widths were measured with: one photograph, or all there are."""
    return inputs[:1] if name == "tflm_mbv2_224" else inputs


def widths(chip, network, inputs):
    """The widest layer's, of each kind."""
    result = simulate(chip, network, inputs={"x": inputs}, rounding="model")
    found = [layer.values.widths for layer in result.layers if layer.values and layer.values.widths]
    fields = ("worst_case_bits", "final_bits", "running_bits")
    return {field: max(getattr(width, field) for width in found) for field in fields}


@pytest.mark.parametrize("name", WIDTHS)
def test_widths_are_those_that_another_program_measured(name):
    network, inputs = load(name)
    chip, inputs = with_changes(load_accelerator("edge_16x16"), PLAIN_SUMS), measured(name, inputs)
    plain = widths(chip, network, inputs)
    folded = widths(with_changes(chip, {"pe_grid.zero_points": "fold_into_bias"}), network, inputs)
    biased = widths(with_changes(chip, {"accumulators.preloads_bias": True}), network, inputs)
    assert (plain["final_bits"], plain["running_bits"], folded["running_bits"], biased["final_bits"]) == WIDTHS[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_worst_case_is_that_of_another_program(name):
    network, inputs = load(name)
    chip = with_changes(load_accelerator("edge_16x16"), PLAIN_SUMS)
    assert widths(chip, network, inputs[:1])["worst_case_bits"] == WORST_CASE[name]


@pytest.mark.parametrize("name", LEAVING_16_BITS)
def test_as_many_outputs_leave_16_bits_as_another_program_counted(name):
    network, inputs = load(name)
    chip = with_changes(load_accelerator("edge_16x16"), PLAIN_SUMS)
    result = simulate(chip, network, inputs={"x": measured(name, inputs)}, rounding="model", trial_bits=(16,))
    trials = [layer.values.trials[0] for layer in result.layers if layer.values.trials]
    share = sum(trial.outputs_hit for trial in trials) / sum(trial.outputs for trial in trials)
    assert share == pytest.approx(LEAVING_16_BITS[name], abs=0.0005)
