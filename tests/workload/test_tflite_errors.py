"""What is wrong with a TFLite model, in one line that names the file and the operator or tensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from litert_networks import LitertNetwork, schema

from accelsim.errors import WorkloadError
from accelsim.workload.network import Network
from accelsim.workload.quantized_network import QuantizedNetwork
from accelsim.workload.tflite.importer import import_quantized_tflite, import_tflite

Importer = Callable[[Path], Network | QuantizedNetwork]
BOTH = pytest.mark.parametrize("importer", [import_tflite, import_quantized_tflite])


def convolution(dtype: str = "int8") -> LitertNetwork:
    """Tensors: 0 input, 1 weights, 2 biases, 3 output; one CONV_2D."""
    model = LitertNetwork()
    is_wide = dtype == "int16"
    model.tensor("x", (1, 4, 4, 2), dtype, scale=0.5)
    model.tensor("w", (3, 2, 2, 2), "uint8" if dtype == "uint8" else "int8", scale=[0.25] * 3 if dtype != "uint8" else 0.25,
                 data=np.arange(24).reshape(3, 2, 2, 2))
    model.tensor("b", (3,), "int64" if is_wide else "int32", scale=0.125, data=[1, 2, 3])
    model.tensor("y", (1, 3, 3, 3), dtype, scale=4.0)
    model.operator("CONV_2D", [0, 1, 2], [3], padding=1, strideH=1, strideW=1)
    return model


def complaint(path: Path, importer: Importer) -> str:
    with pytest.raises(WorkloadError) as error:
        importer(path)
    return str(error.value)


@BOTH
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "expected b'TFL3' at byte 4, got b''"),
        (b"PK\x03\x04 a zip file", "expected b'TFL3' at byte 4, got b' a z'"),
        (b"\x10\x00\x00\x00TFL3", "expected 4 bytes at 16, got a file of 8 bytes"),
        (b"\x08\x00\x00\x00TFL3\xff\xff\xff\x7f", "expected 2 bytes at -2147483639, got a file of 12 bytes"),
    ],
)
def test_other_files_are_no_models(tmp_path: Path, importer: Importer, content: bytes, problem: str) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    assert complaint(path, importer) == f"{path}: not a TFLite model, or a truncated one: {problem}"


@BOTH
def test_a_truncated_file_says_what_it_lacks(tmp_path: Path, importer: Importer) -> None:
    path = tmp_path / "m.tflite"
    content = convolution().content([0], [3])
    path.write_bytes(content[:-30])
    found = complaint(path, importer)
    assert found.startswith(f"{path}: not a TFLite model, or a truncated one: expected ")
    assert found.endswith(f"got a file of {len(content) - 30} bytes")


@BOTH
def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path, importer: Importer) -> None:
    missing = tmp_path / "none.tflite"
    assert complaint(missing, importer) == f"{missing}: expected a file, found none of that name"
    assert complaint(tmp_path, importer) == f"{tmp_path}: expected a file, got a folder"


def broken(change: Callable[[LitertNetwork], None], path: Path, dtype: str = "int8") -> Path:
    model = convolution(dtype)
    change(model)
    return model.save(path / "m.tflite", model.graph.inputs or [0], model.graph.outputs or [3])


def set_operator(**fields: object) -> Callable[[LitertNetwork], None]:
    def change(model: LitertNetwork) -> None:
        for name, value in fields.items():
            setattr(model.graph.operators[0], name, value)

    return change


def set_option(**fields: object) -> Callable[[LitertNetwork], None]:
    def change(model: LitertNetwork) -> None:
        for name, value in fields.items():
            setattr(model.graph.operators[0].builtinOptions, name, value)

    return change


def set_tensor(number: int, **fields: object) -> Callable[[LitertNetwork], None]:
    def change(model: LitertNetwork) -> None:
        for name, value in fields.items():
            setattr(model.graph.tensors[number], name, value)

    return change


def set_quantization(number: int, **fields: object) -> Callable[[LitertNetwork], None]:
    def change(model: LitertNetwork) -> None:
        for name, value in fields.items():
            kind = {"scale": np.float32, "zeroPoint": np.int64}.get(name)
            array = value if kind is None or value is None else np.atleast_1d(np.asarray(value, kind))
            setattr(model.graph.tensors[number].quantization, name, array)

    return change


def without_outputs(model: LitertNetwork) -> None:
    model.content = lambda inputs, outputs: LitertNetwork.content(model, inputs, [])  # type: ignore[method-assign]


def without_graphs(model: LitertNetwork) -> None:
    model.model.subgraphs = []


def with_a_second_writer(model: LitertNetwork) -> None:
    model.operator("RELU", [0], [3])


def with_a_late_writer(model: LitertNetwork) -> None:
    model.tensor("late", (1, 4, 4, 2), scale=0.5)
    model.graph.operators[0].inputs = [4, 1, 2]
    model.operator("RELU", [0], [4])


@BOTH
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without_graphs, "expected a model with a graph, got none"),
        (without_outputs, "expected a graph with at least one output, got none"),
        (set_operator(inputs=[0, 9, 2]), "conv_2d_0: expected a tensor of 0..3, got 9"),
        (set_operator(outputs=[-1]), "conv_2d_0: expected a tensor of 0..3, got -1"),
        (set_operator(inputs=[0, -1, 2]), "conv_2d_0: expected a tensor in each of the first 2 places, got [0, -1, 2]"),
        (set_operator(inputs=[0]), "conv_2d_0: expected a tensor in each of the first 2 places, got [0]"),
        (set_operator(opcodeIndex=7), "operator 0: expected an operator code of 0..0, got 7"),
        (set_operator(builtinOptionsType=schema.BuiltinOptions.AddOptions),
         "conv_2d_0: expected options of kind 1, got 11"),
        (set_operator(outputs=[0]), 'conv_2d_0: writes the input or constant "x"'),
        (with_a_second_writer, 'relu_1: two operators write "y"'),
        (with_a_late_writer, 'conv_2d_0: reads the tensor "late" before it is written'),
        (set_tensor(1, buffer=99), "w: expected a buffer of 0..2, got 99"),
        (set_tensor(3, type=40), "y: expected an element type of 0..22, got 40"),
        (set_tensor(0, shape=[1, 4, 4]), "conv_2d_0: expected an input of 4 dimensions, got [1, 4, 4]"),
        (set_tensor(0, shape=[1, 4, 4, 3]),
         "conv_2d_0: expected channels in groups of 2 that divide 3 filters, got 3"),
        (set_tensor(0, shape=[1, 4, -4, 2]), 'input "x": expected sizes that are fixed beyond the batch, got [1, 4, -4, 2]'),
        (set_tensor(0, shapeSignature=[1, -1, -1, 2]),
         'input "x": expected sizes that are fixed beyond the batch, got [1, -1, -1, 2]'),
        (set_tensor(1, shape=[3, 2, 4]), "conv_2d_0: expected weights of 4 dimensions, got [3, 2, 4]"),
        (set_tensor(2, shape=[4]), "conv_2d_0: expected one bias an output channel, [3], got [4]"),
        (set_tensor(3, shape=[1, 3, 3, 4]), "conv_2d_0: expected an output of shape [1, 3, 3, 3], got [1, 3, 3, 4]"),
        (set_tensor(3, shape=[1, 0, 3, 3]),
         'conv_2d_0: expected a shape of "y" that is known before the run, got [1, 0, 3, 3]'),
        (set_tensor(0, shape=[1, 1, 4, 2]), "conv_2d_0: expected an output of at least 1x1, got 0x3"),
        (set_option(strideW=0), "conv_2d_0: expected stride_h and stride_w of at least 1, got 1 and 0"),
        (set_option(dilationHFactor=-1), "conv_2d_0: expected dilation_h and dilation_w of at least 1, got -1 and 1"),
        (set_option(padding=2), "conv_2d_0: expected the padding 0 (SAME) or 1 (VALID), got 2"),
    ],
)
def test_a_model_that_is_no_graph_of_these_operators_is_refused(
    tmp_path: Path, importer: Importer, change: Callable[[LitertNetwork], None], problem: str
) -> None:
    path = broken(change, tmp_path)
    assert complaint(path, importer) == f"{path}: {problem}"


def with_sparse_weights(model: LitertNetwork) -> None:
    model.graph.tensors[1].sparsity = schema.SparsityParametersT()


def with_short_weights(model: LitertNetwork) -> None:
    model.model.buffers[1].data = model.model.buffers[1].data[:-1]


def with_long_biases(model: LitertNetwork) -> None:
    model.model.buffers[2].data = np.append(model.model.buffers[2].data, np.zeros(4, np.uint8))


def with_computed_weights(model: LitertNetwork) -> None:
    model.tensor("v", (3, 2, 2, 2), "int8", scale=0.25)
    model.operator("RELU", [1], [4])
    model.graph.operators.reverse()
    model.graph.operators[1].inputs = [0, 4, 2]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (set_quantization(0, scale=np.nan), 'scale: expected a finite number above 0, got nan'),
        (set_quantization(0, scale=np.inf), 'scale: expected a finite number above 0, got inf'),
        (set_quantization(3, scale=0.0), 'scale: expected a finite number above 0, got 0.0'),
        (set_quantization(1, scale=[0.25, -0.25, 0.25]), 'scale: expected a finite number above 0, got -0.25'),
        (set_quantization(0, zeroPoint=128), "zero_point: expected -128..127 (int8), got 128"),
        (set_quantization(3, zeroPoint=-129), "zero_point: expected -128..127 (int8), got -129"),
        (set_quantization(0, scale=[0.5, 0.5], zeroPoint=[0, 0], quantizedDimension=3),
         'tensor "x": expected one scale for an activation, got 2'),
        (set_tensor(0, quantization=None), 'tensor "x": expected a scale and a zero point, got none'),
        (set_quantization(1, zeroPoint=None), 'tensor "w": expected a scale and a zero point, got none'),
        (set_quantization(1, zeroPoint=[0, 0]), 'tensor "w": expected as many zero points as scales, 3, got 2'),
        (set_quantization(1, scale=[0.25] * 2, zeroPoint=[0] * 2),
         'tensor "w": expected one scale an index of dimension 0 (3), got 2'),
        (set_quantization(1, quantizedDimension=7),
         'tensor "w": expected one scale an index of dimension 7 (no such dimension), got 3'),
        (set_quantization(1, scale=[0.25] * 2, zeroPoint=[0] * 2, quantizedDimension=3),
         'tensor "w": expected one scale, or 3 along dimension 0, got 2 along dimension 3'),
        (set_quantization(1, zeroPoint=[0, 0, 5]), 'tensor "w": expected weights with the zero point 0, got 5'),
        (set_quantization(2, zeroPoint=[4]), 'tensor "b": expected biases with the zero point 0, got 4'),
        (set_tensor(2, type=schema.TensorType.FLOAT32), 'tensor "b": expected int32, got float32'),
        (set_tensor(1, type=schema.TensorType.UINT8), 'tensor "w": expected int8 or int4 or int2, got uint8'),
        (set_tensor(3, type=schema.TensorType.UINT8), "expected an output of the input's type int8, got uint8"),
        (set_tensor(0, type=schema.TensorType.INT32), 'tensor "x": expected one of int8, uint8, int16, got int32'),
        (with_sparse_weights, 'tensor "w": expected plain integers, got a tensor that is sparse'),
        (with_short_weights, 'tensor "w": expected 24 bytes for the shape [3, 2, 2, 2], got 23'),
        (with_long_biases, 'tensor "b": expected 12 bytes for the shape [3], got 16'),
        (with_computed_weights, 'tensor "v": expected a constant of the model, got a computed one'),
        (set_quantization(3, scale=2.0**-66), "scale: expected a scale below 2^30, got 9.223372036854776e+18"),
        (set_quantization(1, scale=[1e-38] * 3), None),
    ],
)
def test_integers_that_mean_nothing_are_refused(tmp_path: Path, change: Callable[[LitertNetwork], None],
                                                problem: str | None) -> None:
    path = broken(change, tmp_path)
    assert import_tflite(path).macs == 9 * 3 * 8
    if problem is None:
        assert import_quantized_tflite(path).network.macs == 9 * 3 * 8
        return
    operator = "conv_2d_1" if change is with_computed_weights else "conv_2d_0"
    assert complaint(path, import_quantized_tflite) == f"{path}: {operator}: {problem}"


def test_int16_has_no_zero_point(tmp_path: Path) -> None:
    path = broken(set_quantization(0, zeroPoint=1), tmp_path, "int16")
    assert complaint(path, import_quantized_tflite) == (
        f'{path}: conv_2d_0: tensor "x": expected the zero point 0 for int16, got 1')


def test_accumulators_under_two_rules_are_refused(tmp_path: Path) -> None:
    model = convolution("int16")
    model.tensor("c", (3,), "int32", scale=0.125, data=[1, 2, 3])
    model.tensor("z", (1, 3, 3, 3), "int16", scale=4.0)
    model.operator("CONV_2D", [0, 1, 4], [5], padding=1, strideH=1, strideW=1)
    path = model.save(tmp_path / "m.tflite", [0], [3, 5])
    assert complaint(path, import_quantized_tflite) == (
        f"{path}: conv_2d_1: expected accumulators under one rule, tflite_int16x8 as conv_2d_0, got litert_reference")


def element_wise(op: str, dtype: str = "int8", **options: object) -> LitertNetwork:
    model = LitertNetwork()
    model.tensor("x", (1, 4), dtype, scale=0.5)
    model.tensor("y", (1, 4), dtype, scale=0.5)
    model.operator(op, [0, 0] if op in ("DIV", "PRELU") else [0], [1], **options)
    return model


@pytest.mark.parametrize("op", ["DIV", "PRELU", "NEG", "SQUARE"])
def test_an_operator_without_an_integer_kernel_is_refused_with_integers_alone(tmp_path: Path, op: str) -> None:
    path = element_wise(op).save(tmp_path / "m.tflite", [0], [1])
    assert import_tflite(path).layers[0].name == f"{op.lower()}_0"
    assert complaint(path, import_quantized_tflite) == (
        f"{path}: {op.lower()}_0: expected an operator with integers, got {op}, of which only the time is simulated")


def test_a_fused_activation_that_tflite_lacks_is_not_simulated(tmp_path: Path) -> None:
    model = convolution()
    model.graph.operators[0].builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.TANH
    path = model.save(tmp_path / "m.tflite", [0], [3])
    assert complaint(path, import_tflite) == (
        f"{path}: expected at least one operator that accelsim executes, got CONV_2D x1")


def test_a_tensor_that_nothing_writes_has_no_integers(tmp_path: Path) -> None:
    path = element_wise("RELU").save(tmp_path / "m.tflite", [], [1])
    assert import_tflite(path).layers[0].name == "relu_0"
    assert complaint(path, import_quantized_tflite) == f'{path}: relu_0: reads the tensor "x", which nothing writes'


def test_an_output_of_computed_real_numbers_is_refused(tmp_path: Path) -> None:
    model = convolution()
    model.tensor("f", (1, 3, 3, 3), "float32")
    model.operator("DEQUANTIZE", [3], [4])
    model.tensor("g", (1, 3, 3, 3), "float32")
    model.operator("RELU", [4], [5])
    path = model.save(tmp_path / "m.tflite", [0], [5])
    assert complaint(path, import_quantized_tflite) == (
        f'{path}: relu_2: tensor "f": expected one of int8, uint8, int16, got float32')


@pytest.mark.parametrize(
    ("op", "x", "y", "operands", "options", "problem"),
    [
        ("RESHAPE", (2, 6), (3, 5), [[3, 5]], {}, "expected 12 elements as in [2, 6], got [3, 5]"),
        ("TRANSPOSE", (2, 6), (6, 2), [[1, 1]], {}, "expected each of 0..1 once, got [1, 1]"),
        ("PAD", (2, 6), (2, 9), [[0, 0, 1]], {}, "expected 2 x 2 paddings of at least 0, got [0, 0, 1]"),
        ("PAD", (2, 6), (2, 9), [[0, 0, 1, -1]], {}, "expected 2 x 2 paddings of at least 0, got [0, 0, 1, -1]"),
        ("MEAN", (2, 6), (2,), [[2]], {}, "expected axes of 2 dimensions, got 2"),
        ("SLICE", (2, 6), (2, 3), [[0, 4], [2, 3]], {}, "expected a part of [2, 6], got [2, 3] from [0, 4] on"),
        ("GATHER", (2, 6), (2, 1), [[0]], {"axis": 2}, "expected an axis of 2 dimensions, got 2"),
        ("GATHER", (2, 6), (1, 6), [[2]], {"axis": 0}, "expected indices of 0..1, got 2..2"),
        ("TILE", (2, 6), (4, 6), [[2]], {}, "expected 2 multiples, got [2]"),
        ("UNPACK", (2, 6), (6,), [], {"axis": 0, "num": 1}, "expected 1 parts of the 2 elements of dimension 0, got [1]"),
        ("CONCATENATION", (2, 6), (2, 6), [], {"axis": 5}, "expected an axis of 2 dimensions, got 5"),
        ("DEPTH_TO_SPACE", (1, 2, 2, 4), (1, 4, 4, 1), [], {"blockSize": 0},
         "expected 4 dimensions and a block of at least 1, got [1, 2, 2, 4] and 0"),
        ("STRIDED_SLICE", (2, 6), (2, 6), [[0, 0], [2, 6], [1, 0]], {},
         "expected at most 2 starts, ends and steps other than 0, got [0, 0], [2, 6] and [1, 0]"),
        ("STRIDED_SLICE", (2, 6), (6,), [[2, 0], [3, 6], [1, 1]], {"shrinkAxisMask": 1},
         "expected an index of 0..1 in dimension 0, got 2"),
        ("SOFTMAX", (), (), [], {}, "expected at least 1 dimension, got a scalar"),
    ],
)
def test_operands_outside_their_tensor_are_refused(
    tmp_path: Path, op: str, x: tuple[int, ...], y: tuple[int, ...], operands: list[list[int]], options: dict[str, int],
    problem: str
) -> None:
    model = LitertNetwork()
    model.tensor("x", x, scale=0.5)
    model.tensor("y", y, scale=0.5)
    model.tensor("z", y, scale=0.5)
    inputs = [model.tensor(f"o{place}", [len(values)], "int32", data=values) for place, values in enumerate(operands)]
    model.operator(op, [0, *inputs], [1], **options)
    model.operator("RELU", [1], [2])
    path = model.save(tmp_path / "m.tflite", [0], [2])
    assert complaint(path, import_quantized_tflite) == f"{path}: {op.lower()}_0: {problem}"


@BOTH
def test_an_input_that_cannot_be_left_out_is_missed(tmp_path: Path, importer: Importer) -> None:
    model = LitertNetwork()
    for name, shape in (("x", (1, 4)), ("y", (1, 8))):
        model.tensor(name, shape, scale=0.5)
    model.operator("CONCATENATION", [0, -1, 0], [1], axis=1)
    path = model.save(tmp_path / "m.tflite", [0], [1])
    assert complaint(path, importer) == (
        f"{path}: concatenation_0: expected a tensor in each of the first 3 places, got [0, -1, 0]")


@BOTH
def test_operands_that_do_not_broadcast_are_refused(tmp_path: Path, importer: Importer) -> None:
    model = LitertNetwork()
    for name, shape in (("x", (1, 4)), ("y", (1, 3)), ("z", (1, 4))):
        model.tensor(name, shape, scale=0.5)
    model.operator("ADD", [0, 1], [2])
    path = model.save(tmp_path / "m.tflite", [0, 1], [2])
    assert complaint(path, importer) == f"{path}: add_0: expected operands that broadcast, got [1, 4] and [1, 3]"


def test_products_whose_operands_both_broadcast_have_no_integers(tmp_path: Path) -> None:
    model = LitertNetwork()
    for name, shape in (("x", (1, 3, 4, 6)), ("y", (2, 1, 6, 5)), ("z", (2, 3, 4, 5))):
        model.tensor(name, shape, scale=0.5)
    model.operator("BATCH_MATMUL", [0, 1], [2])
    path = model.save(tmp_path / "m.tflite", [0, 1], [2])
    assert import_tflite(path).macs == 6 * 4 * 6 * 5
    assert complaint(path, import_quantized_tflite) == (
        f"{path}: batch_matmul_0: expected one operand with the whole batch [2, 3], got [2, 1] and [1, 3]")
