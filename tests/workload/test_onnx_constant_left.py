"""Products whose constant stands on the left: their channels are rows, and they give onnxruntime's integers."""

from __future__ import annotations

import numpy as np
import pytest
from qdq_networks import CONSTANTS, S, agreeing, between, dequantized, kinds, positive, signed
from quantized_models import node, write_graph

from accelsim.errors import WorkloadError
from accelsim.workload import import_onnx
from accelsim.workload.onnx.values import import_quantized_onnx

LEFT = {"w": signed(6, 8), "ws": np.random.default_rng(6).uniform(0.001, 0.02, 6).astype(S), "wz": np.zeros(6, np.int8)}


def behind_left(operator: str) -> list:
    """A constant times x, and an operator with the constant k behind it, without a rounding in between."""
    return between(dequantized("w", "wd", "w", axis=0), node("MatMul", ["wd", "xd"], ["p"], name="p"),
                   node(operator, ["p", "k"], ["c"], name="k"))


@pytest.mark.parametrize(("columns", "operator", "constant"), [
    (6, "Add", (6, 1)), (5, "Add", (6, 1)), (5, "Mul", (6, 1)), (5, "Add", ()), (6, "Div", (1, 6, 1))], ids=str)
def test_channels_of_a_constant_left_operand_are_the_rows_of_the_product(tmp_path, columns, operator, constant) -> None:
    constants = LEFT | {"k": positive(*constant)}
    network = agreeing(tmp_path, behind_left(operator), {"x": [2, 8, columns]}, constants, share=0.02)
    assert kinds(network) == ["matmul"]


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul"])
def test_a_number_a_column_does_not_fold_into_a_constant_left_operand(tmp_path, operator) -> None:
    nodes, constants = behind_left(operator), CONSTANTS | LEFT | {"k": positive(6)}
    path = write_graph(tmp_path / "model.onnx", nodes, {"x": (S, [8, 6])}, ["yq"], constants)
    assert [layer.kind for layer in import_onnx(path).layers] == ["matmul", "elementwise"]
    # Nothing rounds the product before it: no integers.
    with pytest.raises(WorkloadError, match="p: expected integers with scale and zero point"):
        import_quantized_onnx(path)


def test_a_constant_left_operand_times_a_vector_has_a_bias(tmp_path) -> None:
    assert kinds(agreeing(tmp_path, behind_left("Add"), {"x": [8]}, LEFT | {"k": positive(6)}, share=0.2)) == ["matmul"]


@pytest.mark.parametrize("shape", [[2, 8, 6], [2, 8, 5]], ids=str)
def test_a_batch_normalization_folds_where_its_channels_are_the_rows(tmp_path, shape) -> None:
    names = ["gamma", "beta", "mean", "variance"]
    nodes = between(dequantized("w", "wd", "w", axis=0), node("MatMul", ["wd", "xd"], ["p"], name="p"),
                    node("BatchNormalization", ["p", *names], ["c"], name="n"))
    constants = LEFT | {name: positive(6) for name in names}
    assert kinds(agreeing(tmp_path, nodes, {"x": shape}, constants, share=0.05)) == ["matmul"]
