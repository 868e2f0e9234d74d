"""Quantizers stand where a layer of the machine ends, and tensors share grids as the white paper's section 2.3 says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float_networks import mobile
from quantized_models import FloatModel as Network
from quantized_models import Weights, convolutional, node, transformer, vectorial, write_graph

from accelsim.errors import UnsupportedOperatorError
from accelsim.quantization.fixed_grid import FixedGrid
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placement import PlacedConstant, Placement
from accelsim.quantization.placement_options import PlacementOptions
from accelsim.quantization.placing import place
from accelsim.quantization.preparation.batch_norm_folding import fold_batch_norms
from accelsim.quantization.scheme import Scheme


def placed(network: Network, tmp_path: Path, **options: Any) -> Placement:
    model = FloatModel.load(network.save(tmp_path / "net.onnx"))
    return place(fold_batch_norms(model).model, PlacementOptions(**options))


def groups(placement: Placement) -> dict[str, str]:
    return {tensor.name: tensor.group for tensor in placement.tensors}


def test_a_convolutional_network(tmp_path: Path) -> None:
    placement = placed(convolutional(), tmp_path)
    assert groups(placement) == {
        "x": "x", "stem_r": "stem_r", "deep_r": "deep_r", "point": "point", "sum": "sum", "wide": "wide",
        "grouped": "grouped",
        "both": "both", "largest": "both", "mean": "both", "last_r": "last_r", "global": "last_r", "flat": "last_r",
        "logits": "logits", "y": "y"}
    assert "stem" not in placement  # between a convolution and its ReLU
    assert placement.groups["both"].owners == ("both",)
    assert placement.groups["y"].fixed == FixedGrid("share")
    assert str(placement).splitlines()[7:10] == [
        "both     both     output of Concat",
        "largest  both     largest of integers of both",
        "mean     both     average of integers of largest"]


def test_a_concatenation_may_share_one_grid_with_its_parts(tmp_path: Path) -> None:
    placement = placed(convolutional(), tmp_path, concatenation="shared")
    assert {groups(placement)[name] for name in ("wide", "grouped", "both", "largest", "mean")} == {"wide"}
    assert placement.groups["wide"].layers == ("wide", "grouped", "both")


def test_operands_of_an_addition_may_share_one_grid(tmp_path: Path) -> None:
    placement = placed(convolutional(), tmp_path, addition="matched")
    assert groups(placement)["point"] == "stem_r"
    assert groups(placement)["sum"] == "sum"
    assert placement.groups["stem_r"].owners == ("stem_r", "point")


def test_average_pooling_may_have_a_grid_of_its_own(tmp_path: Path) -> None:
    placement = placed(convolutional(), tmp_path, average_pooling="requantized")
    assert {groups(placement)[name] for name in ("mean", "global", "flat")} == {"mean", "global"}


def test_a_mobile_network(tmp_path: Path) -> None:
    placement = placed(mobile(), tmp_path)
    assert groups(placement) == {
        "x": "x", "c1": "c1", "h1": "h1", "r6": "r6", "se0": "r6", "se1r": "se1r", "se2": "se2", "gate": "gate", "se": "se",
        "p1": "p1", "res": "res", "pr": "pr", "padded": "pr", "v1": "v1", "silu": "silu", "b4r": "b4r", "q1": "q1",
        "gl": "gl",
        "mean": "gl", "flat": "gl", "y": "y"}
    assert "sg" not in placement  # x * sigmoid(x) is one table


def test_a_transformer(tmp_path: Path) -> None:
    placement = placed(transformer(), tmp_path)
    assert "scores" not in placement  # its factor is the requantizer's
    assert "q_p" not in placement  # between a product and its bias
    assert {groups(placement)[name] for name in ("q", "q_split", "q_heads")} == {"q"}
    assert placement.groups["attention"].fixed == FixedGrid("share")
    gamma, beta = transformer().constants["gamma"].astype(np.float64), transformer().constants["beta"].astype(np.float64)
    reach = np.sqrt(15) * np.abs(gamma)  # 16 numbers to a row, which is less than 6 deviations
    assert placement.groups["normal"].fixed == FixedGrid("range", (beta - reach).min(), (beta + reach).max())
    assert placed(transformer(), tmp_path, layer_normalization="calibrated").groups["normal"].fixed is None


def test_moves_keep_their_grid_and_constants_become_integers(tmp_path: Path) -> None:
    placement = placed(vectorial(), tmp_path)
    assert {groups(placement)[name] for name in ("erf", "pad", "near", "slice")} == {"erf"}
    assert {groups(placement)[name] for name in ("up_r", "even", "blocks", "one", "other")} == {"up_r"}
    assert {groups(placement)[name] for name in ("swapped", "space", "line", "y")} == {"swapped"}
    assert placement.groups["tanh"].fixed == FixedGrid("unit")
    assert placement.constants == (PlacedConstant("scale4", "mul", 1, "mul"),)


def test_a_fixed_grid_is_not_joined_with_another(tmp_path: Path) -> None:
    nodes = [node("Softmax", ["x"], ["s"]), node("Relu", ["x"], ["r"]), node("Concat", ["s", "r"], ["y"], axis=1)]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 4])}, ["y"], {})
    placement = place(FloatModel.load(path), PlacementOptions(concatenation="shared"))
    assert groups(placement) == {"x": "x", "s": "s", "r": "r", "y": "r"}


def test_a_pad_with_another_number_than_0_has_a_grid_of_its_own(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["r"]), node("Pad", ["r", "p", "v"], ["y"])]
    constants = {"p": np.array([0, 1, 0, 1]), "v": np.array(9, np.float32)}
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 4])}, ["y"], constants)
    assert groups(place(FloatModel.load(path))) == {"x": "x", "r": "r", "y": "y"}


def test_a_relu_that_is_not_alone_behind_its_layer_has_quantizers_around_it(tmp_path: Path) -> None:
    w = Weights(0)
    nodes = [node("Gemm", ["x", w.add("w", 4, 4)], ["h"]), node("Relu", ["h"], ["r"]), node("Add", ["h", "r"], ["y"])]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 4])}, ["y"], w.constants)
    assert groups(place(FloatModel.load(path))) == {"x": "x", "h": "h", "r": "r", "y": "y"}


def test_indices_and_sizes_carry_no_quantizers(tmp_path: Path) -> None:
    nodes = [node("Shape", ["x"], ["s"]), node("Slice", ["s", "one", "two"], ["n"]), node("Concat", ["m1", "n"], ["t"],
                                                                                          axis=0),
             node("Reshape", ["x", "t"], ["y"]), node("Cast", ["i"], ["i64"], to=7), node("Gather", ["x", "i64"], ["z"],
                                                                                          axis=1)]
    constants = {"one": np.array([1]), "two": np.array([2]), "m1": np.array([-1])}
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, ["N", 4]), "i": (np.int32, [2])}, ["y", "z"],
                       constants)
    assert set(groups(place(FloatModel.load(path)))) == {"x", "y", "z"}


GRIDS = {
    ("share", 8, "asymmetric", None): (1 / 256, 0, "uint8"), ("share", 4, "asymmetric", None): (1 / 16, 0, "uint4"),
    ("share", 8, "asymmetric", True): (1 / 256, -128, "int8"), ("share", 8, "symmetric", None): (1 / 128, 0, "int8"),
    ("share", 6, "unsigned", None): (1 / 64, 0, "uint6"), ("unit", 8, "asymmetric", True): (1 / 128, 0, "int8"),
    ("unit", 8, "asymmetric", None): (1 / 128, 128, "uint8"), ("unit", 4, "symmetric", None): (1 / 8, 0, "int4"),
}


@pytest.mark.parametrize("case", GRIDS)
def test_fixed_grids_are_those_of_tflite_at_every_width(case: tuple[Any, int, Any, Any]) -> None:
    kind, bits, symmetry, is_signed = case
    grid = FixedGrid(kind).qparams(Scheme(bits, symmetry, is_signed=is_signed))
    assert (grid.scale.item(), grid.zero_point.item(), grid.qtype.name) == GRIDS[case]


def test_what_the_machine_does_not_execute_is_refused_in_one_line(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["r"]), node("CumSum", ["r", "a"], ["c"]), node("Einsum", ["c"], ["y"], equation="ij->ji")]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [2, 4])}, ["y"], {"a": np.array(0)})
    with pytest.raises(UnsupportedOperatorError) as caught:
        place(FloatModel.load(path))
    assert str(caught.value) == f"{path}: operators that accelsim does not simulate: CumSum x1, Einsum x1"
