"""Integers that ride in a wider ONNX type are read with the width that the metadata tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quantized_models import node, onnx, write_graph

from accelsim.errors import WorkloadError
from accelsim.numerics.qtype import QType
from accelsim.workload.onnx.importer import import_onnx
from accelsim.workload.onnx.values import import_quantized_onnx

S = np.float32
#: Bounds of 6 bits at scale 0.5 and zero point 3: 0.5 * (0 - 3) and 0.5 * (63 - 3).
CONSTANTS = {"xs": S(0.5), "xz": np.uint8(3), "ys": S(0.25), "yz": np.uint8(0), "w": np.array([[1, -2], [3, -4]], np.int8),
             "ws": S(0.1), "wz": np.int8(0), "low": S(-1.5), "high": S(30.0), "b": np.array([7, -7],
                                                                                            np.int32), "bs": S(0.05)}


def network(tmp_path: Path, types: str | None, **constants: Any) -> Path:
    """A Gemm of an input that is clipped and quantized, with an output of 8 bits."""
    nodes = [
        node("Clip", ["x", "low", "high"], ["xc"]), node("QuantizeLinear", ["xc", "xs", "xz"], ["xq"]),
        node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]), node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]),
        node("DequantizeLinear", ["b", "bs"], ["bd"]), node("Gemm", ["xd", "wd", "bd"], ["g"], name="fc"),
        node("QuantizeLinear", ["g", "ys", "yz"], ["yq"]), node("DequantizeLinear", ["yq", "ys", "yz"], ["y"])]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (S, [1, 2])}, ["y"], CONSTANTS | constants)
    if types is not None:
        model = onnx.load(path)
        onnx.helper.set_model_props(model, {"accelsim.integers": types})
        onnx.save(model, path)
    return path


def test_widths_are_those_of_the_metadata(tmp_path: Path) -> None:
    path = network(tmp_path, '{"xz": "uint6", "wz": "int4 restricted"}')
    found = import_quantized_onnx(path)
    (layer,) = found.network.layers
    assert (layer.name, layer.weight_bits, layer.input_bits, layer.output.bits) == ("fc", 4, 6, 8)
    kernel = found.layers["fc"].kernel
    assert kernel.input.qtype == QType(6, False)
    assert kernel.weight.qtype == QType(4, True, is_restricted=True)
    assert kernel.bias.tolist() == [7, -7]
    assert found.inputs[0].qparams.quantize(np.array([-9.0, 0.0, 99.0])).tolist() == [0, 3, 63]
    (timed,) = import_onnx(path).layers
    assert (timed.weight_bits, timed.input_bits) == (4, 6)


def test_without_metadata_the_clip_is_an_operator(tmp_path: Path) -> None:
    found = import_quantized_onnx(network(tmp_path, None))
    assert [(layer.kind, layer.output.bits) for layer in found.network.layers] == [("activation", 8), ("matmul", 8)]


def test_a_clip_to_other_bounds_than_the_types_stays_an_operator(tmp_path: Path) -> None:
    found = import_quantized_onnx(network(tmp_path, '{"xz": "uint6"}', high=S(29.5)))
    assert [(layer.kind, layer.output.bits) for layer in found.network.layers] == [("activation", 6), ("matmul", 8)]


def test_equal_scales_of_two_widths_are_two_grids(tmp_path: Path) -> None:
    nodes = [node("QuantizeLinear", ["x", "s", "wide"], ["a"]), node("DequantizeLinear", ["a", "s", "wide"], ["b"]),
             node("QuantizeLinear", ["b", "s", "narrow"], ["c"]), node("DequantizeLinear", ["c", "s", "narrow"], ["y"])]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (S, [1, 2])}, ["y"],
                       {"s": S(0.5), "wide": np.uint8(0), "narrow": np.uint8(0)})
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"accelsim.integers": '{"narrow": "uint5"}'})
    onnx.save(model, path)
    found = import_quantized_onnx(path)
    (layer,) = found.network.layers
    assert (layer.input_bits, layer.output.bits) == (8, 5)
    assert found.layers[layer.name].kernel.run([np.array([[7, 200]], np.uint8)], found.rule).tolist() == [[7, 31]]


WRONG = {
    "[": 'accelsim.integers: expected a table of zero points and types in JSON, got "["',
    '["xz"]': 'accelsim.integers: expected a table of zero points and types in JSON, got "["xz"]"',
    '{"xz": "byte"}': 'accelsim.integers: xz: expected a type such as uint6 or int8 restricted, got "byte"',
    '{"xz": "uint40"}': 'accelsim.integers: xz: expected a type such as uint6 or int8 restricted, got "uint40"',
    '{"xz": "uint8 restricted"}': (
        'accelsim.integers: xz: expected a type such as uint6 or int8 restricted, got "uint8 restricted"'),
    '{"xy": "uint6"}': "accelsim.integers: xy: expected the zero point of a tensor, found no constant of that name",
    '{"xz": "int6"}': "Clip_xc: accelsim.integers: xz: expected a type that uint8 holds, got int6",
    '{"xz": "uint12"}': "Clip_xc: accelsim.integers: xz: expected a type that uint8 holds, got uint12",
    '{"xz": "uint1"}': "Clip_xc: xz: expected 0..1 (uint1), got 3",
    '{"wz": "int3"}': None,
    '{"wz": "int2"}': "fc: weights: expected -2..1 (int2), got -4..3",
}


@pytest.mark.parametrize("types", WRONG)
def test_wrong_metadata_are_refused_in_one_line(types: str, tmp_path: Path) -> None:
    path = network(tmp_path, types)
    if WRONG[types] is None:
        assert import_quantized_onnx(path).network.layers[-1].weight_bits == 3
        return
    with pytest.raises(WorkloadError) as caught:
        import_quantized_onnx(path)
    assert str(caught.value) == f"{path}: {WRONG[types]}"


def test_a_bias_that_an_add_holds_in_the_accumulators_scale_keeps_its_integers(tmp_path: Path) -> None:
    large = np.array([2**31 - 1, -(2**24) - 1], np.int32)
    nodes = [node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]), node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
             node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]), node("DequantizeLinear", ["b", "bs"], ["bd"]),
             node("MatMul", ["xd", "wd"], ["m"], name="fc"), node("{op}", ["m", "bd"], ["g"]),
             node("QuantizeLinear", ["g", "ys", "yz"], ["yq"]), node("DequantizeLinear", ["yq", "ys", "yz"], ["y"])]
    for op, sign in (("Add", 1), ("Sub", -1)):
        nodes[5] = node(op, ["m", "bd"], ["g"])
        path = write_graph(tmp_path / "net.onnx", nodes, {"x": (S, [1, 2])}, ["y"], CONSTANTS | {"b": large})
        kernel = import_quantized_onnx(path).layers["fc"].kernel
        assert [int(value) for value in kernel.bias] == [sign * int(value) for value in large]
