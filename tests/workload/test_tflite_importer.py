"""TFLite models as networks: layers, shapes, widths, views, what is not simulated; and their edges with integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from litert_networks import LitertNetwork
from tflite_agreement import agreeing_network

from accelsim.errors import WorkloadError
from accelsim.workload.operation import Activation, Convolution, Elementwise, MatMul, Move, Pooling, Reduction, Softmax
from accelsim.workload.tflite.importer import import_quantized_tflite, import_tflite

VALID = 1


class Model(LitertNetwork):
    """A model with short words for what these tests need."""

    def __init__(self, dtype: str = "int8") -> None:
        super().__init__()
        self.dtype = dtype

    def activation(self, name: str, *shape: int, scale: float = 0.5, zero_point: int = 0) -> int:
        is_float = self.dtype == "float32"
        return self.tensor(name, shape, self.dtype, scale=None if is_float else scale, zero_point=zero_point)

    def convolution(self, source: int, name: str, w: tuple[int, ...], y: tuple[int, ...], **options: int) -> int:
        """A VALID convolution with constant weights."""
        is_float = self.dtype == "float32"
        weights = self.tensor(f"{name}_w", w, self.dtype, scale=None if is_float else 0.01,
                              data=np.arange(np.prod(w)).reshape(w) % 11 - 5)
        bias = self.tensor(f"{name}_b", w[:1], "float32" if is_float else "int32", scale=None if is_float else 0.005,
                           data=np.arange(w[0]))
        result = self.activation(name, *y)
        self.operator("CONV_2D", [source, weights, bias], [result], version=3,
                      **{"padding": VALID, "strideH": 1, "strideW": 1, **options})
        return result

    def view(self, source: int, name: str, *shape: int) -> int:
        target = self.tensor(f"{name}_shape", [len(shape)], "int32", data=shape)
        result = self.activation(name, *shape)
        self.operator("RESHAPE", [source, target], [result], newShape=list(shape))
        return result


def random_int8(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8)


def test_images_are_nchw_in_the_network_and_nhwc_in_the_model(tmp_path: Path) -> None:
    model = Model()
    x = model.activation("x", 1, 6, 5, 3)
    y = model.convolution(x, "y", (4, 3, 2, 3), (1, 4, 4, 4))
    network = agreeing_network(model.save(tmp_path / "m.tflite", [x], [y]), random_int8(1, 6, 5, 3))
    (layer,) = network.network.layers
    assert (layer.name, layer.inputs[0].shape, layer.output.shape) == ("conv_2d_0", (1, 3, 6, 5), (1, 4, 4, 4))
    assert layer.weights.shape == (4, 3, 3, 2)
    assert layer.operation == Convolution(batch=1, in_channels=3, out_channels=4, in_size=(6, 5), kernel=(3, 2))
    quantized = network.layers["conv_2d_0"]
    assert quantized.input_shapes == ((1, 6, 5, 3),)
    assert quantized.output_shape == (1, 4, 4, 4)
    assert quantized.kernel.channels_last
    assert quantized.model_output == "3"


def test_the_layout_of_an_image_follows_it_through_layers_that_keep_it(tmp_path: Path) -> None:
    model = Model("float32")
    x = model.activation("x", 1, 6, 5, 3)
    halved = model.activation("r", 1, 6, 5, 3)
    model.operator("RELU", [x], [halved])
    y = model.convolution(halved, "y", (4, 3, 2, 3), (1, 4, 4, 4))
    order = model.tensor("order", [4], "int32", data=[0, 3, 1, 2])
    turned = model.activation("t", 1, 4, 4, 4)
    model.operator("TRANSPOSE", [y, order], [turned])
    out = model.activation("out", 1, 4, 4, 4)
    model.operator("TANH", [turned], [out])
    shapes = [layer.inputs[0].shape for layer in import_tflite(model.save(tmp_path / "m.tflite", [x], [out])).layers]
    assert shapes == [(1, 3, 6, 5), (1, 3, 6, 5), (1, 4, 4, 4), (1, 4, 4, 4)]


def test_four_dimensions_that_no_image_operator_touches_stay_as_they_are(tmp_path: Path) -> None:
    model = Model("float32")
    x, y = model.activation("x", 1, 2, 3, 4), model.activation("y", 1, 2, 3, 4)
    model.operator("SOFTMAX", [x], [y], beta=1.0)
    (layer,) = import_tflite(model.save(tmp_path / "m.tflite", [x], [y])).layers
    assert layer.inputs[0].shape == (1, 2, 3, 4)
    assert layer.operation == Softmax((1, 2, 3, 4), row_length=4)


def test_reshaped_tensors_are_views_that_readers_see_in_their_own_shape(tmp_path: Path) -> None:
    model = Model()
    x = model.activation("x", 1, 4, 4, 2)
    y = model.convolution(x, "y", (3, 2, 2, 2), (1, 3, 3, 3))
    flat = model.view(y, "flat", 1, 27)
    wide = model.view(flat, "wide", 1, 3, 9)
    z = model.activation("z", 1, 3, 9)
    model.operator("RELU", [wide], [z])
    network = agreeing_network(model.save(tmp_path / "m.tflite", [x], [z, flat]), random_int8(1, 4, 4, 2))
    relu = network.network.layers[1]
    assert [layer.name for layer in network.network.layers] == ["conv_2d_0", "relu_3"]
    assert relu.inputs == (network.network.layers[0].output,)
    assert relu.inputs[0].shape == (1, 3, 3, 3)
    assert network.layers["relu_3"].input_shapes == ((1, 3, 9),)
    assert network.network.outputs == ("z", "y")
    left = [(item.name, item.tensor, item.shape) for item in network.outputs]
    assert left == [("z", "z", (1, 3, 9)), ("flat", "y", (1, 27))]


@pytest.mark.parametrize(("op", "shape"), [("SQUEEZE", (4, 4)), ("EXPAND_DIMS", (1, 4, 1, 4))])
def test_dimensions_of_one_come_and_go_without_a_layer(tmp_path: Path, op: str, shape: tuple[int, ...]) -> None:
    model = Model()
    x, seen, y = model.activation("x", 1, 4, 4), model.activation("v", *shape), model.activation("y", *shape)
    inputs = [x] if op == "SQUEEZE" else [x, model.tensor("axis", [1], "int32", data=[2])]
    model.operator(op, inputs, [seen])
    model.operator("RELU", [seen], [y])
    network = agreeing_network(model.save(tmp_path / "m.tflite", [x], [y]), random_int8(1, 4, 4))
    assert [layer.name for layer in network.network.layers] == ["relu_1"]
    assert network.layers["relu_1"].input_shapes == (shape,)


def test_a_transposition_that_moves_only_dimensions_of_one_is_a_view(tmp_path: Path) -> None:
    model = Model()
    x, seen, y = model.activation("x", 1, 1, 4, 3), model.activation("v", 1, 4, 1, 3), model.activation("y", 1, 4, 1, 3)
    order = model.tensor("order", [4], "int32", data=[0, 2, 1, 3])
    model.operator("TRANSPOSE", [x, order], [seen])
    model.operator("RELU", [seen], [y])
    network = agreeing_network(model.save(tmp_path / "m.tflite", [x], [y]), random_int8(1, 1, 4, 3))
    assert [layer.name for layer in network.network.layers] == ["relu_1"]


def test_tensors_of_one_name_are_told_apart_by_their_numbers(tmp_path: Path) -> None:
    model = Model()
    x, y, z = (model.activation("t", 1, 4) for _ in range(3))
    model.operator("RELU", [x], [y])
    model.operator("RELU6", [y], [z])
    network = import_tflite(model.save(tmp_path / "m.tflite", [x], [z]))
    assert [(layer.inputs[0].name, layer.output.name) for layer in network.layers] == [("t", "t_1"), ("t_1", "t_2")]


def test_floats_take_the_given_widths_and_integers_keep_theirs(tmp_path: Path) -> None:
    model = Model("float32")
    x = model.activation("x", 1, 6, 5, 3)
    y = model.convolution(x, "y", (4, 3, 2, 3), (1, 4, 4, 4))
    path = model.save(tmp_path / "m.tflite", [x], [y])
    (layer,) = import_tflite(path, weight_bits=4, input_bits=6).layers
    assert (layer.input_bits, layer.weight_bits, layer.output.bits, layer.bias.bits) == (6, 4, 6, 32)
    model = Model()
    x = model.activation("x", 1, 6, 5, 3)
    y = model.convolution(x, "y", (4, 3, 2, 3), (1, 4, 4, 4))
    (layer,) = import_tflite(model.save(path, [x], [y]), weight_bits=4, input_bits=6).layers
    assert (layer.input_bits, layer.weight_bits, layer.output.bits, layer.bias.bits) == (8, 8, 8, 32)


@pytest.mark.parametrize(("dtype", "bits"), [("float16", 5), ("int8", 8)])
def test_constants_that_are_dequantized_first_are_weights(tmp_path: Path, dtype: str, bits: int) -> None:
    model = Model("float32")
    x, y = model.activation("x", 2, 6), model.activation("y", 2, 3)
    stored = model.tensor("stored", (3, 6), dtype, scale=0.1 if dtype == "int8" else None, data=np.ones((3, 6)))
    weights = model.tensor("w", (3, 6), "float32")
    model.operator("DEQUANTIZE", [stored], [weights])
    model.operator("FULLY_CONNECTED", [x, weights, -1], [y])
    (layer,) = import_tflite(model.save(tmp_path / "m.tflite", [x], [y]), weight_bits=5).layers
    assert (layer.name, layer.weight_bits, layer.bias) == ("fully_connected_1", bits, None)


def test_sizes_that_the_model_computes_are_constants(tmp_path: Path) -> None:
    model = Model("float32")
    x, flat, y = model.activation("x", 2, 3, 4), model.activation("flat", 2, 12), model.activation("y", 2, 12)
    shape = model.tensor("shape", [3], "int32")
    model.operator("SHAPE", [x], [shape])
    first, rest = model.tensor("first", [1], "int32"), model.tensor("rest", [1], "int32", data=[12])
    begin, end, step = (model.tensor(name, [1], "int32", data=[value]) for name, value in (("b", 0), ("e", 1), ("s", 1)))
    model.operator("STRIDED_SLICE", [shape, begin, end, step], [first])
    target = model.tensor("target", [2], "int32")
    model.operator("CONCATENATION", [first, rest], [target], axis=0)
    model.operator("RESHAPE", [x, target], [flat])
    model.operator("TANH", [flat], [y])
    assert [layer.name for layer in import_tflite(model.save(tmp_path / "m.tflite", [x], [y])).layers] == ["tanh_4"]


def test_operators_that_are_not_simulated_are_counted_and_what_they_write_comes_from_outside(tmp_path: Path) -> None:
    model = Model("float32")
    x = model.activation("x", 1, 4)
    between, y, z = model.activation("between", 1, 4), model.activation("y", 1, 4), model.activation("z", 1, 4)
    model.operator("CUSTOM", [x], [between], custom="MyFilter")
    model.operator("RELU", [between], [y])
    model.operator("CUMSUM", [y, model.tensor("axis", [], "int32", data=1)], [z])
    path = model.save(tmp_path / "m.tflite", [x], [z, y])
    network = import_tflite(path)
    assert [layer.name for layer in network.layers] == ["relu_1"]
    assert network.unsupported == {"CUMSUM": 1, "MyFilter": 1}
    assert network.outputs == ("y",)
    with pytest.raises(WorkloadError) as error:
        import_quantized_tflite(path)
    assert str(error.value) == f"{path}: expected operators that accelsim executes with integers, got CUMSUM x1, MyFilter x1"


def test_what_only_an_operator_without_simulation_knows_the_shape_of_is_counted_too(tmp_path: Path) -> None:
    model = Model("float32")
    x, y = model.activation("x", 1, 4), model.activation("y", 1, 4)
    found, more = model.activation("found", 0, 4), model.activation("more", 0, 4)
    model.operator("RELU", [x], [y])
    model.operator("CUSTOM", [y], [found], custom="Detect")
    model.operator("RELU", [found], [more])
    network = import_tflite(model.save(tmp_path / "m.tflite", [x], [more]))
    assert network.unsupported == {"Detect": 1, "RELU": 1}


def test_operators_that_nothing_needs_are_left_out(tmp_path: Path) -> None:
    model = Model()
    x, y, z = (model.activation(name, 1, 4) for name in "xyz")
    model.operator("RELU", [x], [y])
    model.operator("RELU6", [x], [z])
    assert [layer.name for layer in import_tflite(model.save(tmp_path / "m.tflite", [x], [z])).layers] == ["relu6_1"]


def test_every_output_of_a_split_is_a_layer(tmp_path: Path) -> None:
    model = Model()
    x = model.activation("x", 1, 6)
    parts = [model.activation(f"p{index}", 1, 2) for index in range(3)]
    model.operator("SPLIT", [model.tensor("axis", [], "int32", data=1), x], parts, numSplits=3)
    network = agreeing_network(model.save(tmp_path / "m.tflite", [x], parts), random_int8(1, 6))
    assert [layer.name for layer in network.network.layers] == ["split_0_0", "split_0_1", "split_0_2"]
    assert network.network.layers[0].operation == Move("split", (1, 2))


def test_real_numbers_at_the_edges_become_integers_there(tmp_path: Path) -> None:
    model = Model()
    real = model.tensor("real", (1, 4, 4, 2), "float32")
    x = model.activation("x", 1, 4, 4, 2, scale=0.25, zero_point=3)
    model.operator("QUANTIZE", [real], [x])
    y = model.convolution(x, "y", (3, 2, 2, 2), (1, 3, 3, 3))
    out = model.tensor("out", (1, 3, 3, 3), "float32")
    model.operator("DEQUANTIZE", [y], [out])
    path = model.save(tmp_path / "m.tflite", [real], [out])
    # Multiples of half a step: ties, on which float arithmetic is exact.
    values = (np.random.default_rng(4).integers(-280, 280, (1, 4, 4, 2)) / 8).astype(np.float32)
    network = agreeing_network(path, values)
    (layer,), (source,), (result,) = network.network.layers, network.inputs, network.outputs
    assert (source.name, source.tensor, source.shape, source.is_float) == ("real", "x", (1, 4, 4, 2), True)
    assert (float(source.qparams.scale), int(source.qparams.zero_point)) == (0.25, 3)
    assert (layer.inputs[0].name, layer.inputs[0].bits, layer.output.bits) == ("x", 8, 8)
    assert (result.name, result.tensor, result.is_float) == ("out", "y", True)


def test_real_numbers_that_are_quantized_twice_come_in_twice(tmp_path: Path) -> None:
    model = Model()
    real = model.tensor("real", (1, 4), "float32")
    coarse, fine = model.activation("coarse", 1, 4, scale=0.5), model.activation("fine", 1, 4, scale=0.125)
    model.operator("QUANTIZE", [real], [coarse])
    model.operator("QUANTIZE", [real], [fine])
    y = model.activation("y", 1, 4, scale=0.25)
    model.operator("ADD", [coarse, fine], [y])
    path = model.save(tmp_path / "m.tflite", [real], [y])
    network = agreeing_network(path, np.array([[-3.25, 0.5, 1.0, 7.5]], np.float32))
    assert [(item.name, item.tensor) for item in network.inputs] == [("real", "coarse"), ("real", "fine")]


def test_weights_of_8_bits_under_real_numbers_keep_their_width(tmp_path: Path) -> None:
    model = Model("float32")
    x, y = model.activation("x", 2, 6), model.activation("y", 2, 3)
    w = model.tensor("w", (3, 6), "int8", scale=0.1, data=np.ones((3, 6)))
    model.operator("FULLY_CONNECTED", [x, w, -1], [y])
    (layer,) = import_tflite(model.save(tmp_path / "m.tflite", [x], [y]), weight_bits=4, input_bits=16).layers
    assert (layer.weight_bits, layer.input_bits, layer.output.bits) == (8, 16, 16)


def test_real_numbers_in_between_take_the_integers_width(tmp_path: Path) -> None:
    model = Model()
    x = model.activation("x", 1, 4)
    real, more, y = model.tensor("a", (1, 4), "float32"), model.tensor("b", (1, 4), "float32"), model.activation("y", 1, 4)
    model.operator("DEQUANTIZE", [x], [real])
    model.operator("TANH", [real], [more])
    model.operator("QUANTIZE", [more], [y])
    path = model.save(tmp_path / "m.tflite", [x], [y])
    (layer,) = import_tflite(path, input_bits=16).layers
    assert (layer.inputs[0].name, layer.input_bits, layer.output.name, layer.output.bits) == ("x", 8, "b", 8)
    with pytest.raises(WorkloadError) as error:
        import_quantized_tflite(path)
    assert str(error.value) == f'{path}: tanh_1: tensor "a": expected one of int8, uint8, int16, got float32'


def test_an_input_that_nothing_reads_is_no_input_of_the_network(tmp_path: Path) -> None:
    model = Model()
    x, unread, y = (model.activation(name, 1, 4) for name in ("x", "unread", "y"))
    model.operator("RELU", [x], [y])
    network = import_quantized_tflite(model.save(tmp_path / "m.tflite", [x, unread], [y]))
    assert [item.name for item in network.inputs] == ["x"]


def test_a_batch_lengthens_every_first_dimension(tmp_path: Path) -> None:
    model = Model("float32")
    x = model.activation("x", 1, 4, 4, 2)
    y = model.convolution(x, "y", (3, 2, 2, 2), (1, 3, 3, 3))
    rows = model.view(y, "rows", 9, 3)
    w = model.tensor("w", (5, 3), "float32", data=np.ones((5, 3)))
    z = model.activation("z", 9, 5)
    model.operator("FULLY_CONNECTED", [rows, w], [z])
    path = model.save(tmp_path / "m.tflite", [x], [z])
    first, second = import_tflite(path, batch=4).layers
    assert first.inputs[0].shape == (4, 2, 4, 4)
    assert first.operation.batch == 4
    assert second.operation == MatMul(m=36, k=3, n=5)
    assert import_tflite(path, batch=1).fingerprint == import_tflite(path).fingerprint


@pytest.mark.parametrize(
    ("stated", "batch", "problem"),
    [
        (2, 3, 'input "x": the model fixes the batch at 2, got --batch 3'),
        (1, 0, "expected a batch of at least 1, got 0"),
        (1, 3, "transpose_0: expected an output of shape [4, 3], got [12, 1]"),
    ],
)
def test_a_batch_that_the_model_cannot_have_is_refused(tmp_path: Path, stated: int, batch: int, problem: str) -> None:
    model = Model("float32")
    x, y = model.activation("x", stated, 4), model.activation("y", 4, stated)
    model.operator("TRANSPOSE", [x, model.tensor("order", [2], "int32", data=[1, 0])], [y])
    path = model.save(tmp_path / "m.tflite", [x], [y])
    with pytest.raises(WorkloadError) as error:
        import_tflite(path, batch=batch)
    assert str(error.value) == f"{path}: {problem}"


@pytest.mark.parametrize(
    ("op", "shapes", "operation", "operands"),
    [
        ("ARG_MAX", ((1, 8), (1,)), Reduction("max", (1,), in_elements=8), [("axis", [1])]),
        ("ABS", ((1, 8), (1, 8)), Activation("abs", (1, 8)), []),
        ("SQUARED_DIFFERENCE", ((1, 8), (1, 8)), Elementwise("mul", (1, 8)), [("x", None)]),
        ("REVERSE_V2", ((1, 8), (1, 8)), Move("copy", (1, 8)), [("axis", [1])]),
        ("L2_POOL_2D", ((1, 4, 4, 2), (1, 2, 2, 2)), Pooling("average", (1, 2, 2, 2), (2, 2), (2, 2)), []),
    ],
)
def test_some_operators_are_timed_alone(tmp_path: Path, op: str, shapes: tuple[tuple[int, ...], tuple[int, ...]],
                                        operation: object, operands: list[tuple[str, list[int] | None]]) -> None:
    model = Model("float32")
    x, y = model.activation("x", *shapes[0]), model.activation("y", *shapes[1])
    inputs = [x, *(x if data is None else model.tensor(name, [len(data)], "int32", data=data) for name, data in operands)]
    options = {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2} if op == "L2_POOL_2D" else {}
    model.operator(op, inputs, [y], **options)
    (layer,) = import_tflite(model.save(tmp_path / "m.tflite", [x], [y])).layers
    assert layer.operation == operation


def test_scales_for_blocks_of_weights_cut_the_reduction_into_groups(tmp_path: Path) -> None:
    model = Model("float32")
    x, y = model.activation("x", 2, 64), model.activation("y", 2, 3)
    w = model.tensor("w", (3, 64), "int4", data=np.ones((3, 64)), scale_block=16)
    model.operator("FULLY_CONNECTED", [x, w], [y])
    path = model.save(tmp_path / "m.tflite", [x], [y])
    (layer,) = import_tflite(path).layers
    assert (layer.weight_bits, layer.weight_scale_groups) == (4, 4)
