"""Files that are no ONNX models: one line with the file's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from accelsim.errors import WorkloadError
from accelsim.workload import import_onnx


def message(path: Path) -> str:
    with pytest.raises(WorkloadError) as error:
        import_onnx(path)
    return str(error.value)


def test_missing_file(tmp_path: Path) -> None:
    assert message(tmp_path / "no.onnx") == f"{tmp_path / 'no.onnx'}: expected a file, found none of that name"


def test_folder(tmp_path: Path) -> None:
    assert message(tmp_path) == f"{tmp_path}: expected a file, got a folder"


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.onnx"
    path.touch()
    assert message(path) == f"{path}: not an ONNX model, or a truncated one"


def test_other_bytes(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("import torch")
    assert message(path) == f"{path}: not an ONNX model, or a truncated one"


def test_truncated_model(save_model) -> None:
    path = save_model([helper.make_node("Relu", ["x"], ["y"])], {"x": [2]}, ["y"])
    path.write_bytes(path.read_bytes()[:-20])
    assert message(path) == f"{path}: not an ONNX model, or a truncated one"


def test_empty_graph(save_model) -> None:
    path = save_model([], {"x": [2]}, ["x"])
    assert message(path) == f"{path}: expected a graph with at least one node, got an empty graph"


def test_cycle(save_model) -> None:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"], name="first"), helper.make_node("Exp", ["a"], ["b"])]
    path = save_model(nodes, {"x": [2]}, ["b"])
    assert message(path) == f"{path}: first: the graph has a cycle"


def test_undefined_tensor(save_model) -> None:
    path = save_model([helper.make_node("Add", ["x", "z"], ["y"], name="sum")], {"x": [2]}, ["y"])
    assert message(path) == f'{path}: sum: reads the tensor "z", which nothing writes'


def test_tensor_with_two_writers(save_model) -> None:
    nodes = [helper.make_node("Exp", ["x"], ["y"]), helper.make_node("Log", ["x"], ["y"], name="again")]
    path = save_model(nodes, {"x": [2]}, ["y"])
    assert message(path) == f'{path}: again: two nodes write the tensor "y"'


@pytest.mark.parametrize("shape", [[0, 3], [2**40, 2**40]])
def test_impossible_dimension(save_model, shape: list[int]) -> None:
    path = save_model([helper.make_node("Exp", ["x"], ["y"])], {"x": shape}, ["y"])
    assert message(path) == (f'{path}: input "x": expected dimensions of at least 1 and at most 2^62 elements, '
                             f"got {shape}")


def test_kernel_larger_than_the_padded_input(save_model) -> None:
    path = save_model([helper.make_node("Conv", ["x", "w"], ["y"], name="conv", pads=[1, 1, 1, 1])],
                      {"x": [1, 3, 4, 4]}, ["y"], {"w": np.zeros((4, 3, 7, 7), np.float32)})
    assert message(path) == f"{path}: conv: expected an output of at least 1x1, got 0x0"


def test_products_that_do_not_fit(save_model) -> None:
    path = save_model([helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")], {"x": [2, 7]}, ["y"],
                      {"w": np.zeros((8, 3), np.float32)})
    assert message(path) == (
        f'{path}: fc: the shape of "y" is not known (Incompatible dimensions for matrix multiplication)')


def test_channels_that_do_not_fit(save_model) -> None:
    path = save_model([helper.make_node("Conv", ["x", "w"], ["y"], name="conv")], {"x": [1, 3, 8, 8]}, ["y"],
                      {"w": np.zeros((4, 5, 3, 3), np.float32)})
    assert message(path) == (f"{path}: conv: expected 5 input channels for weights of [4, 5, 3, 3] in 1 groups, got 3")
