"""`load_network` chooses by suffix or shipped name; the exported names; nothing slow is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import accelsim.workload
from accelsim.errors import UnsupportedOperatorError, WorkloadError
from accelsim.workload import load_network, shipped_workloads


def message(model: str | Path, **options: object) -> str:
    with pytest.raises(WorkloadError) as error:
        load_network(model, **options)
    return str(error.value)


def test_suffix_chooses_the_format(save_model, tmp_path: Path) -> None:
    onnx_path = save_model([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 8]}, ["y"],
                           {"w": np.zeros((8, 3), np.float32)})
    csv_path = tmp_path / "net.CSV"
    csv_path.write_text("Layer, M, N, K,\na, 2, 3, 8,\n")
    yaml_path = tmp_path / "net.yml"
    yaml_path.write_text("{schema_version: 1, name: n, source: s, inputs: {x: [2, 8]}, "
                         "layers: [{name: a, op: linear, features: 3}]}")
    assert [load_network(path).macs for path in (onnx_path, csv_path, str(yaml_path))] == [48, 48, 48]


def test_shipped_name_with_batch_parameters_and_widths() -> None:
    network = load_network("bert_base", batch=2, parameters={"sequence": 16}, weight_bits=4, input_bits=6)
    query = next(layer for layer in network.layers if layer.name == "query_1")
    assert (query.macs, query.weight_bits, query.input_bits) == (2 * 16 * 768 * 768, 4, 6)


def test_unknown_name_suggests_a_shipped_one() -> None:
    assert message("resnet_50") == 'no file and no shipped workload is called "resnet_50" (did you mean "resnet50"?)'


def test_name_like_nothing_lists_the_shipped_ones() -> None:
    names = ", ".join(shipped_workloads())
    assert message("zzz") == f'no file and no shipped workload is called "zzz"; shipped are {names}'


def test_other_suffix_and_folder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    path.touch()
    assert message(path) == f'{path}: expected a file of type .onnx, .tflite, .csv, .yaml, .yml, got the suffix ".pt"'
    assert message(tmp_path) == f"{tmp_path}: expected a file of type .onnx, .tflite, .csv, .yaml, .yml, got a folder"


def test_missing_files_are_told_by_their_name(tmp_path: Path) -> None:
    for name in ("a.onnx", "a.csv", "a.yaml"):
        assert message(tmp_path / name) == f"{tmp_path / name}: expected a file, found none of that name"


def test_options_that_do_not_go_with_the_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    path.write_text("Layer, M, N, K,\na, 2, 3, 8,\n")
    assert message(path, shapes={"x": (1,)}) == f"{path}: shapes go with ONNX models alone, got x"
    assert message(path, parameters={"n": 1}) == f"{path}: parameters go with layer lists alone, got n"
    assert message(path, batch=0) == f"{path}: expected a batch of at least 1, got 0"
    assert message(path, weight_bits=0) == "weight_bits: expected 1 to 32 bits, got 0"


def test_strict_refuses_operators_that_are_not_simulated(save_model) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("TopK", ["r", "k"], ["y", "i"]),
             helper.make_node("TopK", ["x", "k"], ["z", "j"])]
    path = save_model(nodes, {"x": [2, 8]}, ["y", "z"], {"k": np.array([4])})
    assert load_network(path).unsupported == {"TopK": 2}
    with pytest.raises(UnsupportedOperatorError) as error:
        load_network(path, strict=True)
    assert str(error.value) == f"{path}: operators that accelsim does not simulate: TopK x2"


def test_exported_names() -> None:
    assert accelsim.workload.__all__ == [
        "Activation", "Convolution", "Elementwise", "GridOperation", "Layer", "MatMul", "Move", "Network",
        "Normalization", "Operation", "Pooling", "QuantizedNetwork", "Reduction", "Resize", "Shape", "Softmax", "Tensor",
        "VectorOperation",
        "import_onnx", "import_topology", "load_layer_list", "load_network", "load_quantized_network", "shipped_workloads",
    ]


def test_importing_the_room_does_not_import_onnx() -> None:
    code = "import sys, accelsim.workload; print('onnx' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                            cwd=Path(accelsim.workload.__file__).parents[2])
    assert result.stdout == "False\n"
