"""TFLite's operators off the PE grid: LiteRT's integers, and the layers that they time as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litert_networks import LitertNetwork, reference_tensors
from tflite_agreement import agreeing_network

from accelsim.errors import WorkloadError
from accelsim.workload.operation import Activation, Elementwise, Move, Normalization, Pooling, Reduction, Resize, Softmax
from accelsim.workload.quantized_network import QuantizedNetwork
from accelsim.workload.tflite.importer import import_quantized_tflite

SAME, VALID = 0, 1
GRIDS = {"int8": [(0.05, 3), (0.021, -17), (0.033, 40)], "uint8": [(0.05, 131), (0.021, 111), (0.033, 90)],
         "int16": [(0.0005, 0), (0.00021, 0), (0.00033, 0)]}

#: LiteRT has no second version of these.
_FIRST_VERSIONS = frozenset({"RELU_N1_TO_1", "HARD_SWISH", "DEPTH_TO_SPACE"})

Shape = tuple[int, ...]


def values(shape: Shape, dtype: str, seed: int = 0) -> np.ndarray:
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(info.min, info.max + 1, shape).astype(dtype)


def agreement(path: Path, op: str, x: list[Shape], y: Shape | list[Shape], *, dtype: str = "int8",
              grids: list[tuple[float, int]] | None = None, constants: dict[int, np.ndarray] | None = None,
              operands: dict[int, Any] | None = None, out: tuple[float, int] | None = None,
              **options: Any) -> QuantizedNetwork:
    """Whether one operator agrees.

    Parameters
    ----------
    x : shapes of the quantized inputs, of the grids `grids`; those in `constants` are constants.
    operands : position -> integers of an int32 operand, put between the inputs.
    out : grid of the outputs; None is the first input's.
    """
    model = LitertNetwork()
    found = grids or GRIDS[dtype]
    numbers, arrays = [], []
    for place, shape in enumerate(x):
        constant = (constants or {}).get(place)
        scale, point = found[place % len(found)]
        numbers.append(model.tensor(f"x{place}", shape, dtype, scale=scale, zero_point=point, data=constant))
        arrays += [] if constant is not None else [(numbers[-1], values(shape, dtype, place))]
    inputs = list(numbers)
    for place, data in sorted((operands or {}).items()):
        array = np.asarray(data)
        inputs.insert(place, model.tensor(f"operand{place}", array.shape, "int32", data=array))
    shapes = y if isinstance(y, list) else [y]
    scale, point = out or found[0]
    outputs = [model.tensor(f"y{place}", shape, dtype, scale=scale, zero_point=point) for place, shape in enumerate(shapes)]
    model.operator(op, inputs, outputs, version=1 if op in _FIRST_VERSIONS else options.pop("version", 2), **options)
    model.save(path, [number for number, _ in arrays], outputs)
    return agreeing_network(path, *(array for _, array in arrays))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.tflite"


def only(network: QuantizedNetwork) -> Any:
    (layer,) = network.network.layers
    return layer


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize(("op", "kind"), [("ADD", "add"), ("SUB", "sub"), ("MUL", "mul")])
@pytest.mark.parametrize("fused", [0, 1, 3])
def test_sums_and_products_on_three_grids(path: Path, op: str, kind: str, dtype: str, fused: int) -> None:
    if op == "MUL":
        scale, point = (0.02, GRIDS[dtype][2][1]) if dtype != "int16" else (0.00004, 0)
    else:
        scale, point = GRIDS[dtype][2]
    options = {} if op == "MUL" else {"potScaleInt16": False}
    layer = only(agreement(path, op, [(1, 5, 6, 3), (1, 5, 6, 3)], (1, 5, 6, 3), dtype=dtype, out=(scale, point),
                           fusedActivationFunction=fused, **options))
    assert layer.operation == Elementwise(kind, (1, 5, 6, 3))
    assert layer.fused == {0: (), 1: ("relu",), 3: ("relu6",)}[fused]


@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_int16_sums_of_power_of_two_scales_have_a_kernel_of_their_own(path: Path, op: str) -> None:
    grids = [(2.0**-11, 0), (2.0**-12, 0)]
    agreement(path, op, [(4, 90), (4, 90)], (4, 90), dtype="int16", grids=grids, out=(2.0**-11, 0), potScaleInt16=True)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
def test_a_constant_operand_is_the_layers_weights(path: Path, op: str, place: int) -> None:
    shapes = [(1, 5, 6, 3), (1, 5, 6, 3)]
    shapes[place] = (3,)
    network = agreement(path, op, shapes, (1, 5, 6, 3), constants={place: np.array([-90, 3, 70], np.int8)}, out=(0.06, -5))
    layer = only(network)
    assert (layer.weights.name, layer.weights.shape, len(layer.inputs)) == (f"x{place}", (3,), 1)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize(("op", "kind"), [("MAXIMUM", "max"), ("MINIMUM", "min")])
def test_extremes_of_two_tensors(path: Path, op: str, kind: str, dtype: str) -> None:
    layer = only(agreement(path, op, [(2, 1, 30), (2, 5, 1)], (2, 5, 30), dtype=dtype, grids=GRIDS[dtype][:1]))
    assert layer.operation == Elementwise(kind, (2, 5, 30))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize(("op", "kind"), [("RELU", "relu"), ("RELU6", "relu6"), ("RELU_N1_TO_1", "clip")])
def test_standalone_clamps_change_the_grid(path: Path, op: str, kind: str, dtype: str) -> None:
    if (op, dtype) == ("RELU_N1_TO_1", "int16"):
        pytest.skip("LiteRT has no such kernel")
    layer = only(agreement(path, op, [(4, 200)], (4, 200), dtype=dtype, out=GRIDS[dtype][1]))
    assert layer.operation == Activation(kind, (4, 200))


@pytest.mark.parametrize("written", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("read", ["int8", "uint8", "int16"])
def test_quantize_goes_from_every_grid_to_every_other(path: Path, read: str, written: str) -> None:
    if (read, written) == ("int16", "uint8"):
        pytest.skip("LiteRT has no such kernel")
    model = LitertNetwork()
    x = model.tensor("x", (4, 200), read, scale=GRIDS[read][0][0], zero_point=GRIDS[read][0][1])
    y = model.tensor("y", (4, 200), written, scale=GRIDS[written][1][0], zero_point=GRIDS[written][1][1])
    model.operator("QUANTIZE", [x], [y])
    layer = only(agreeing_network(model.save(path, [x], [y]), values((4, 200), read)))
    assert layer.operation == Activation("cast", (4, 200))
    assert (layer.input_bits, layer.output.bits) == tuple(16 if dtype == "int16" else 8 for dtype in (read, written))


@pytest.mark.parametrize(
    ("op", "kind", "dtype", "grid", "out", "options"),
    [
        ("LOGISTIC", "sigmoid", "int8", (0.05, 3), (1 / 256, -128), {}),
        ("LOGISTIC", "sigmoid", "uint8", (0.05, 131), (1 / 256, 0), {}),
        ("LOGISTIC", "sigmoid", "int16", (0.0003, 0), (1 / 32768, 0), {}),
        ("TANH", "tanh", "int8", (0.02, 3), (1 / 128, 0), {}),
        ("TANH", "tanh", "int16", (0.0003, 0), (1 / 32768, 0), {}),
        ("HARD_SWISH", "hard_swish", "int8", (0.05, 3), (0.03, -118), {}),
        ("LEAKY_RELU", "leaky_relu", "int8", (0.05, 3), (0.03, -90), {"alpha": 0.17}),
        ("LEAKY_RELU", "leaky_relu", "int16", (0.0003, 0), (0.0002, 0), {"alpha": 0.17}),
        ("GELU", "gelu", "int8", (0.04, 3), (0.03, -118), {"approximate": False}),
        ("GELU", "gelu", "int8", (0.04, 3), (0.03, -118), {"approximate": True}),
        ("EXP", "exp", "int8", (0.03, 20), (0.1, -128), {}),
        ("RSQRT", "sqrt", "int8", (0.04, -128), (0.05, -120), {}),
        ("ABS", "abs", "int8", (0.04, 3), (0.03, -128), {}),
    ],
)
def test_functions_of_one_element(path: Path, op: str, kind: str, dtype: str, grid: tuple[float, int],
                                  out: tuple[float, int], options: dict[str, Any]) -> None:
    layer = only(agreement(path, op, [(4, 200)], (4, 200), dtype=dtype, grids=[grid], out=out, **options))
    assert layer.operation == Activation(kind, (4, 200))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize(("op", "kind"), [("AVERAGE_POOL_2D", "average"), ("MAX_POOL_2D", "max")])
@pytest.mark.parametrize(
    ("y", "padding", "window", "stride"),
    [((1, 4, 3, 2), VALID, (2, 3), (2, 3)), ((1, 5, 4, 2), SAME, (3, 3), (2, 3)), ((1, 9, 10, 2), SAME, (2, 4), (1, 1))],
)
def test_pooling(path: Path, op: str, kind: str, dtype: str, y: Shape, padding: int, window: tuple[int, int],
                 stride: tuple[int, int]) -> None:
    layer = only(agreement(
        path, op, [(1, 9, 10, 2)], y, dtype=dtype, padding=padding, filterHeight=window[0], filterWidth=window[1],
        strideH=stride[0], strideW=stride[1], fusedActivationFunction=1))
    assert isinstance(layer.operation, Pooling)
    assert (layer.operation.kind, layer.operation.out_shape) == (kind, (1, 2, y[1], y[2]))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize(
    ("axes", "y", "keeps"),
    [([1, 2], (2, 7), False), ([1, 2], (2, 1, 1, 7), True), ([-1], (2, 5, 6), False), ([3, 0], (5, 6), False)],
)
def test_means_over_axes(path: Path, dtype: str, axes: list[int], y: Shape, keeps: bool) -> None:
    layer = only(agreement(path, "MEAN", [(2, 5, 6, 7)], y, dtype=dtype, operands={1: axes}, out=GRIDS[dtype][1],
                           keepDims=keeps))
    assert layer.operation == Reduction("mean", layer.output.shape, in_elements=420)


@pytest.mark.parametrize(("op", "kind"), [("REDUCE_MAX", "max"), ("REDUCE_MIN", "min")])
def test_extremes_over_axes(path: Path, op: str, kind: str) -> None:
    layer = only(agreement(path, op, [(2, 9, 5)], (2, 5), operands={1: [1]}, keepDims=False))
    assert layer.operation == Reduction(kind, (2, 5), in_elements=90)


@pytest.mark.parametrize(
    ("op", "dtype", "grid", "out"),
    [("SOFTMAX", "int8", (0.1, 3), (1 / 256, -128)), ("SOFTMAX", "uint8", (0.1, 131), (1 / 256, 0)),
     ("SOFTMAX", "int16", (0.0005, 0), (1 / 32768, 0)), ("LOG_SOFTMAX", "int8", (0.1, 3), (16 / 256, 127))],
)
def test_softmax(path: Path, op: str, dtype: str, grid: tuple[float, int], out: tuple[float, int]) -> None:
    options = {"beta": 0.7} if op == "SOFTMAX" else {}
    layer = only(agreement(path, op, [(6, 40)], (6, 40), dtype=dtype, grids=[grid], out=out, **options))
    assert layer.operation == Softmax((6, 40), row_length=40)


def test_l2_normalization(path: Path) -> None:
    layer = only(agreement(path, "L2_NORMALIZATION", [(6, 40)], (6, 40), out=(1 / 128, 0)))
    assert layer.operation == Normalization("l2", (6, 40), row_length=40)


@pytest.mark.parametrize("flags", [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize(("op", "mode"), [("RESIZE_NEAREST_NEIGHBOR", "nearest"), ("RESIZE_BILINEAR", "linear")])
@pytest.mark.parametrize("sizes", [(11, 8), (3, 4)])
def test_resized_images(path: Path, op: str, mode: str, sizes: tuple[int, int], flags: tuple[bool, bool]) -> None:
    y = (1, *sizes, 3)
    layer = only(agreement(path, op, [(1, 5, 6, 3)], y, operands={1: sizes}, version=3, alignCorners=flags[0],
                           halfPixelCenters=flags[1]))
    assert layer.operation == Resize(mode, (1, 3, *sizes))


@pytest.mark.parametrize(
    ("op", "x", "y", "operands", "options", "kind"),
    [
        ("TRANSPOSE", (2, 3, 4, 5), (2, 5, 3, 4), {1: [0, 3, 1, 2]}, {}, "transpose"),
        ("PAD", (1, 4, 5, 2), (1, 7, 5, 5), {1: [[0, 0], [1, 2], [0, 0], [3, 0]]}, {}, "pad"),
        ("MIRROR_PAD", (4, 5), (7, 9), {1: [[1, 2], [3, 1]]}, {"mode": 0}, "pad"),
        ("MIRROR_PAD", (4, 5), (7, 9), {1: [[1, 2], [3, 1]]}, {"mode": 1}, "pad"),
        ("SLICE", (4, 6), (2, 5), {1: [1, 1], 2: [2, -1]}, {}, "slice"),
        ("STRIDED_SLICE", (4, 6, 3), (2, 2, 3), {1: [3, 1], 2: [-9, 5], 3: [-2, 2]}, {}, "slice"),
        ("STRIDED_SLICE", (4, 6, 3), (3, 3), {1: [2, 0, 9], 2: [0, 5, 9], 3: [1, 2, -1]},
         {"shrinkAxisMask": 1, "beginMask": 4, "endMask": 4}, "slice"),
        ("STRIDED_SLICE", (4, 6, 3), (6, 3), {1: [-1], 2: [0], 3: [1]}, {"shrinkAxisMask": 1}, "slice"),
        ("GATHER", (4, 6), (4, 2, 2), {1: [[5, 0], [1, 1]]}, {"axis": 1}, "gather"),
        ("TILE", (2, 3), (4, 9), {1: [2, 3]}, {}, "tile"),
        ("DEPTH_TO_SPACE", (1, 2, 3, 8), (1, 4, 6, 2), {}, {"blockSize": 2}, "depth_to_space"),
        ("SPACE_TO_DEPTH", (1, 4, 6, 2), (1, 2, 3, 8), {}, {"blockSize": 2}, "space_to_depth"),
        ("BROADCAST_TO", (3, 1), (2, 3, 4), {1: [2, 3, 4]}, {}, "expand"),
        ("REVERSE_V2", (3, 4), (3, 4), {1: [1]}, {}, "copy"),
    ],
)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_moves(path: Path, op: str, x: Shape, y: Shape, operands: dict[int, Any], options: dict[str, int], kind: str,
               dtype: str) -> None:
    if (op, dtype) == ("REVERSE_V2", "int8"):
        pytest.skip("LiteRT has no such kernel")
    layer = only(agreement(path, op, [x], y, dtype=dtype, operands=operands, **options))
    assert layer.operation == Move(kind, layer.output.shape)
    assert layer.output.elements == np.prod(y)


def test_a_border_of_a_given_integer(path: Path) -> None:
    model = LitertNetwork()
    x = model.tensor("x", (3, 4), scale=0.05, zero_point=3)
    filling = model.tensor("v", (), scale=0.05, zero_point=3, data=-77)
    pads = model.tensor("pads", (2, 2), "int32", data=[[1, 0], [0, 2]])
    y = model.tensor("y", (4, 6), scale=0.05, zero_point=3)
    model.operator("PADV2", [x, pads, filling], [y], version=2)
    agreeing_network(model.save(path, [x], [y]), values((3, 4), "int8"))


@pytest.mark.parametrize(
    ("op", "operands", "parts", "options"),
    [
        ("SPLIT", {0: 1}, [(3, 2, 2)] * 3, {"numSplits": 3}),
        ("SPLIT_V", {1: [1, -1, 2], 2: 1}, [(3, 1, 2), (3, 3, 2), (3, 2, 2)], {"numSplits": 3}),
        ("UNPACK", {}, [(6, 2)] * 3, {"num": 3, "axis": 0}),
    ],
)
def test_every_part_of_a_split(path: Path, op: str, operands: dict[int, Any], parts: list[Shape],
                               options: dict[str, int]) -> None:
    network = agreement(path, op, [(3, 6, 2)], parts, operands=operands, **options)
    assert [layer.operation for layer in network.network.layers] == [Move("split", part) for part in parts]


def test_tensors_that_are_joined(path: Path) -> None:
    layer = only(agreement(path, "CONCATENATION", [(1, 2, 3, 4), (1, 2, 3, 1), (1, 2, 3, 2)], (1, 2, 3, 7), axis=-1,
                           grids=GRIDS["int8"][:1], constants={1: values((1, 2, 3, 1), "int8")}))
    assert layer.operation == Move("concat", (1, 2, 3, 7))
    assert (layer.weights.name, len(layer.inputs)) == ("x1", 2)


def test_tensors_that_are_stacked_are_seen_with_a_new_dimension(path: Path) -> None:
    network = agreement(path, "PACK", [(3, 4)] * 3, (3, 3, 4), axis=1, valuesCount=3, grids=GRIDS["int8"][:1])
    assert network.layers["pack_0"].input_shapes == ((3, 1, 4),) * 3


def test_joined_uint8_tensors_are_rescaled(path: Path) -> None:
    agreement(path, "CONCATENATION", [(4, 60), (4, 70)], (4, 130), axis=1, dtype="uint8", out=(0.04, 100))


def test_joined_int16_tensors_are_copied_as_they_are(path: Path) -> None:
    agreement(path, "CONCATENATION", [(4, 60), (4, 70)], (4, 130), axis=1, dtype="int16")


@pytest.mark.parametrize(("op", "y", "options"), [("CONCATENATION", (4, 120), {"axis": 1}),
                                                  ("PACK", (4, 2, 60), {"axis": 1, "valuesCount": 2})])
def test_joined_int8_tensors_of_other_grids_are_refused_as_litert_does(path: Path, op: str, y: Shape,
                                                                       options: dict[str, int]) -> None:
    with pytest.raises(WorkloadError) as error:
        agreement(path, op, [(4, 60), (4, 60)], y, **options)
    assert str(error.value) == (
        f"{path}: {op.lower()}_0: expected operands of the output's scale and zero point, got others")
    with pytest.raises(RuntimeError):
        reference_tensors(path, [values((4, 60), "int8")] * 2)


@pytest.mark.parametrize(("op", "options"), [
    ("MAX_POOL_2D", {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2}),
    ("AVERAGE_POOL_2D", {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2}),
])
def test_pooled_integers_are_not_rescaled(path: Path, op: str, options: dict[str, int]) -> None:
    agreement(path, op, [(1, 6, 6, 4)], (1, 3, 3, 4), out=(0.021, 17), **options)


@pytest.mark.parametrize("op", ["MAXIMUM", "MINIMUM"])
def test_compared_integers_are_not_rescaled(path: Path, op: str) -> None:
    agreement(path, op, [(4, 60), (4, 60)], (4, 60), out=(0.07, 11))


def test_types_that_differ_are_refused(path: Path) -> None:
    model = LitertNetwork()
    x, y = model.tensor("x", (1, 4), "int8", scale=0.5), model.tensor("y", (1, 4), "int16", scale=0.5)
    model.operator("TILE", [x, model.tensor("m", (2,), "int32", data=[1, 1])], [y])
    model.save(path, [x], [y])
    with pytest.raises(WorkloadError) as error:
        import_quantized_tflite(path)
    assert str(error.value) == f"{path}: tile_0: expected an output of the input's type int8, got int16"
