"""Activations of fewer than 8 bits ride in 8: onnxruntime's default session computes the machine's integers of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from float_networks import mobile
from quantized_models import FloatModel as Network
from quantized_models import convolutional, differences, onnx, runtime, runtime_tensors

from accelsim.quantization.bit_policy import BitPolicy, parse_bit_policy
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.quantize import quantize
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.workload.onnx.values import import_quantized_onnx


def quantized(network: Network, policy: BitPolicy, folder: Path) -> QuantizedModel:
    """A network that is saved as q.onnx, too."""
    made = quantize(FloatModel.load(network.save(folder / "net.onnx")), network.samples(6, seed=1), policy)
    made.save(folder / "q.onnx")
    return made


@pytest.mark.parametrize("bits", [2, 3, 4, 7])
def test_the_default_session_of_onnxruntime_takes_a_network_with_relu6(bits: int, tmp_path: Path) -> None:
    """It refuses any Clip, of the network or of a quantizer, before a QuantizeLinear to 4 bits."""
    made = quantized(mobile(), BitPolicy.of(8, bits), tmp_path)
    session = runtime.InferenceSession(tmp_path / "q.onnx", providers=["CPUExecutionProvider"])
    output, = session.run(None, {"x": mobile().samples(1)[0]})
    grid = made.grid_of(made.model.outputs[0])
    assert grid is not None
    assert np.array_equal(output, grid.dequantize(grid.quantize(output), dtype=np.float32))


@pytest.mark.parametrize("bits", [3, 4])
def test_that_session_computes_the_machine_s_integers(bits: int, tmp_path: Path) -> None:
    quantized(mobile(), BitPolicy.of(8, bits), tmp_path)
    loaded = import_quantized_onnx(tmp_path / "q.onnx")
    assert {layer.output.bits for layer in loaded.network.layers} == {bits}
    found = differences(loaded, tmp_path / "q.onnx", {"x": mobile().samples(1)[0]}, is_chained=False)
    assert max(distance for _, distance in found.values()) <= 1


def test_narrow_activations_have_a_clip_that_the_machine_does_not_execute(tmp_path: Path) -> None:
    made = quantized(convolutional(), parse_bit_policy(
        "activations: {bits: 6}\nweights: {bits: 3, is_restricted: true}", file="p.yaml"), tmp_path)
    proto = onnx.load(tmp_path / "q.onnx")
    clips = [each for each in proto.graph.node if each.op_type == "Clip"]
    # Not behind what is picked or averaged on its input's grid: largest, mean, global, flat.
    assert len(clips) == len(made.placement.tensors) - 4
    loaded = import_quantized_onnx(tmp_path / "q.onnx")
    assert [layer.name for layer in loaded.network.layers] == [layer.name for layer in made.model.translation.layers]
    assert {layer.output.bits for layer in loaded.network.layers} == {6}
    tensors = runtime_tensors(tmp_path / "q.onnx", {"x": 100 * convolutional().samples(1)[0]},
                              [f"{tensor.name}_quantized" for tensor in made.placement.tensors])
    assert {value.dtype for value in tensors.values()} == {np.dtype(np.uint8)}
    assert max(int(value.max()) for value in tensors.values()) == 63
    types = {each.key: each.value for each in proto.metadata_props}["accelsim.integers"]
    assert '"x_zero_point": "uint6"' in types
    assert '"stem_w_zero_point": "int3 restricted"' in types
