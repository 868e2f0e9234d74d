"""Trained models, tensor by tensor as LiteRT's reference kernels computed them: no integer differs.

The models and tensors are reference data outside the project, found through ACCELSIM_TEST_DATA.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from slow_execution import execute, execute_layer

from accelsim.numerics.rule import Rule
from accelsim.workload.quantized_network import QuantizedNetwork
from accelsim.workload.tflite.importer import import_quantized_tflite, import_tflite

DATA = os.environ.get("ACCELSIM_TEST_DATA")

pytestmark = pytest.mark.skipif(not DATA, reason="set ACCELSIM_TEST_DATA to the folder of reference data")

#: Model, golden tensors, multiply-accumulates of one image, layers.
MODELS = [
    ("tflm/hello_world_int8", "tflm_hello_world", 288, 3),
    ("mlperf_tiny/pretrainedResnet_quant", "mlperf_resnet8", 12_501_632, 15),
    ("mlperf_tiny/kws_ref_model", "mlperf_dscnn_kws", 2_656_768, 12),
    ("tflm/mobilenet_v2_quantized_1x3x224x224", "tflm_mbv2_224", 300_774_272, 83),
]


def load(model: str, golden: str) -> tuple[QuantizedNetwork, dict[str, np.ndarray]]:
    """The network, and every golden tensor under its name in the network, one row an image."""
    assert DATA is not None
    network = import_quantized_tflite(Path(DATA) / "models" / f"{model}.tflite")
    with np.load(Path(DATA) / "golden" / f"{golden}.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    tensors = {layer.output.name: arrays[f"t{network.layers[layer.name].model_output}"] for layer in network.network.layers}
    written = {f"t{layer.model_output}" for layer in network.layers.values()}
    (source,) = network.inputs
    found = [array for name, array in arrays.items() if name not in written and array.shape[1:] == source.shape[1:]]
    tensors[source.tensor] = found[0]
    return network, tensors


@pytest.mark.parametrize(("model", "golden", "macs", "layers"), MODELS, ids=[model[1] for model in MODELS])
def test_every_layer_fed_with_golden_inputs_gives_the_golden_output(model: str, golden: str, macs: int, layers: int) -> None:
    network, tensors = load(model, golden)
    assert network.rule == Rule("litert_reference")
    assert (network.network.macs, len(network.network.layers)) == (macs, layers)
    for layer in network.network.layers:
        for image in range(len(tensors[layer.output.name])):
            row = slice(image, image + 1)
            found = execute_layer(network, layer, [tensors[tensor.name][row] for tensor in layer.inputs])
            np.testing.assert_array_equal(found, tensors[layer.output.name][row], err_msg=layer.name)


@pytest.mark.parametrize(("model", "golden"), [model[:2] for model in MODELS], ids=[model[1] for model in MODELS])
def test_the_whole_chain_gives_every_golden_tensor(model: str, golden: str) -> None:
    network, tensors = load(model, golden)
    (source,) = network.inputs
    for image in range(len(tensors[source.tensor])):
        row = slice(image, image + 1)
        found = execute(network, {source.tensor: tensors[source.tensor][row]})
        for layer in network.network.layers:
            np.testing.assert_array_equal(found[layer.output.name], tensors[layer.output.name][row], err_msg=layer.name)


@pytest.mark.parametrize(("quantized", "real"), [
    ("mlperf_tiny/pretrainedResnet_quant", "mlperf_tiny/pretrainedResnet"),
    ("mlperf_tiny/kws_ref_model", "mlperf_tiny/kws_ref_model_float32"),
])
def test_a_model_times_alike_before_and_after_quantization(quantized: str, real: str) -> None:
    assert DATA is not None
    first, second = (import_tflite(Path(DATA) / "models" / f"{name}.tflite") for name in (quantized, real))
    assert [layer.operation for layer in first.layers] == [layer.operation for layer in second.layers]
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
