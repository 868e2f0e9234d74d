"""A float TFLite network becomes a float ONNX network with the same outputs as LiteRT's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litert_models import TensorSpec, flatbuffers, interpreters, schema, single_operator

from accelsim.errors import UnsupportedOperatorError, WorkloadError
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.quantize import quantize

F = np.float32
OPS, OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions


def litert(content: bytes, feeds: list[np.ndarray]) -> list[np.ndarray]:
    """What LiteRT's reference kernels compute."""
    interpreter = interpreters.Interpreter(
        model_content=content, experimental_op_resolver_type=interpreters.OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), feeds, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def options(name: str, **values: Any) -> tuple[Any, int]:
    """Options of an operator by the schema's names."""
    found = getattr(schema, f"{name}T")()
    for key, value in values.items():
        assert hasattr(found, key), key
        setattr(found, key, value)
    return found, getattr(OPTIONS, name)


def reals(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(F)


def real(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name, shape, F)


def constant(name: str, value: Any) -> TensorSpec:
    array = np.asarray(value)
    array = array.astype(F if array.dtype.kind == "f" else np.int32)
    return TensorSpec(name, array.shape, array.dtype, data=array)


def convolution(stride: int = 1, padding: int = 0, activation: int = 0, dilation: int = 1) -> tuple[Any, int]:
    return options("Conv2DOptions", strideH=stride, strideW=stride, padding=padding, fusedActivationFunction=activation,
                   dilationHFactor=dilation, dilationWFactor=dilation)


def pooling(window: tuple[int, int], stride: int, padding: int, activation: int = 0) -> tuple[Any, int]:
    return options("Pool2DOptions", filterHeight=window[0], filterWidth=window[1], strideH=stride, strideW=stride,
                   padding=padding, fusedActivationFunction=activation)


IMAGE = real("x", 1, 7, 6, 4)
#: name -> (operator, (options, their number), inputs, outputs)
CASES: dict[str, tuple[int, tuple[Any, int], list[TensorSpec], list[TensorSpec]]] = {
    "conv same": (OPS.CONV_2D, convolution(2, 0, 1),
                  [IMAGE, constant("w", reals(5, 3, 3, 4)), constant("b", reals(5))], [real("y", 1, 4, 3, 5)]),
    "conv valid": (OPS.CONV_2D, convolution(1, 1, 3, 2),
                   [IMAGE, constant("w", reals(5, 3, 2, 4)), constant("b", reals(5))], [real("y", 1, 3, 4, 5)]),
    "conv groups": (OPS.CONV_2D, convolution(1, 0, 2),
                    [IMAGE, constant("w", reals(6, 3, 3, 2)), constant("b", reals(6))], [real("y", 1, 7, 6, 6)]),
    "depthwise": (OPS.DEPTHWISE_CONV_2D,
                  options("DepthwiseConv2DOptions", strideH=2, strideW=2, padding=0, depthMultiplier=2, dilationHFactor=1,
                          dilationWFactor=1, fusedActivationFunction=1),
                  [IMAGE, constant("w", reals(1, 3, 3, 8)), constant("b", reals(8))], [real("y", 1, 4, 3, 8)]),
    "transposed": (OPS.TRANSPOSE_CONV, options("TransposeConvOptions", strideH=2, strideW=2, padding=0),
                   [constant("s", [1, 13, 12, 3]), constant("w", reals(3, 3, 3, 4)), IMAGE], [real("y", 1, 13, 12, 3)]),
    "transposed valid": (OPS.TRANSPOSE_CONV, options("TransposeConvOptions", strideH=2, strideW=3, padding=1),
                         [constant("s", [1, 15, 18, 3]), constant("w", reals(3, 3, 2, 4)), IMAGE],
                         [real("y", 1, 15, 18, 3)]),
    "average": (OPS.AVERAGE_POOL_2D, pooling((3, 2), 2, 0), [IMAGE], [real("y", 1, 4, 3, 4)]),
    "largest": (OPS.MAX_POOL_2D, pooling((2, 2), 1, 1, 1), [IMAGE], [real("y", 1, 6, 5, 4)]),
    "product": (OPS.FULLY_CONNECTED, options("FullyConnectedOptions", fusedActivationFunction=1),
                [real("x", 2, 3, 4), constant("w", reals(5, 4)), constant("b", reals(5))], [real("y", 6, 5)]),
    "product of rows": (OPS.FULLY_CONNECTED, options("FullyConnectedOptions", keepNumDims=True),
                        [real("x", 2, 3, 4), constant("w", reals(5, 4)), constant("b", reals(5))], [real("y", 2, 3, 5)]),
    "batches": (OPS.BATCH_MATMUL, options("BatchMatMulOptions", adjX=True, adjY=True),
                [real("a", 2, 4, 3), real("b", 2, 5, 4)], [real("y", 2, 3, 5)]),
    "add": (OPS.ADD, options("AddOptions", fusedActivationFunction=1),
            [IMAGE, constant("c", reals(4))], [real("y", 1, 7, 6, 4)]),
    "subtract": (OPS.SUB, options("SubOptions"), [real("a", 2, 3), real("b", 1, 3)], [real("y", 2, 3)]),
    "multiply": (OPS.MUL, options("MulOptions"), [IMAGE, real("b", 1, 1, 1, 4)], [real("y", 1, 7, 6, 4)]),
    "divide": (OPS.DIV, options("DivOptions"), [real("a", 2, 3), constant("b", [[1.0, -2.0, 4.0]])], [real("y", 2, 3)]),
    "largest of two": (OPS.MAXIMUM, options("MaximumMinimumOptions"), [real("a", 2, 3), real("b", 2, 3)], [real("y", 2, 3)]),
    "squares": (OPS.SQUARED_DIFFERENCE, options("SquaredDifferenceOptions"),
                [real("a", 2, 3), real("b", 2, 3)], [real("y", 2, 3)]),
    "square": (OPS.SQUARE, options("SquareOptions"), [real("a", 2, 3)], [real("y", 2, 3)]),
    "relu6": (OPS.RELU6, (None, 0), [real("x", 2, 3)], [real("y", 2, 3)]),
    "relu of 1": (OPS.RELU_N1_TO_1, (None, 0), [real("x", 2, 3)], [real("y", 2, 3)]),
    "leaky": (OPS.LEAKY_RELU, options("LeakyReluOptions", alpha=0.2), [real("x", 2, 3)], [real("y", 2, 3)]),
    "prelu": (OPS.PRELU, (None, 0), [IMAGE, constant("s", reals(1, 1, 4))], [real("y", 1, 7, 6, 4)]),
    "logistic": (OPS.LOGISTIC, (None, 0), [real("x", 2, 3)], [real("y", 2, 3)]),
    "tanh": (OPS.TANH, (None, 0), [real("x", 2, 3)], [real("y", 2, 3)]),
    "hard swish": (OPS.HARD_SWISH, options("HardSwishOptions"), [real("x", 2, 3)], [real("y", 2, 3)]),
    "gelu": (OPS.GELU, options("GeluOptions", approximate=True), [real("x", 2, 3)], [real("y", 2, 3)]),
    "exp": (OPS.EXP, options("ExpOptions"), [real("x", 2, 3)], [real("y", 2, 3)]),
    "mean of axes": (OPS.MEAN, options("ReducerOptions", keepDims=False), [IMAGE, constant("a", [1, 2])], [real("y", 1, 4)]),
    "mean kept": (OPS.MEAN, options("ReducerOptions", keepDims=True),
                  [IMAGE, constant("a", [2, -3])], [real("y", 1, 1, 1, 4)]),
    "sum": (OPS.SUM, options("ReducerOptions"), [IMAGE, constant("a", [3])], [real("y", 1, 7, 6)]),
    "softmax": (OPS.SOFTMAX, options("SoftmaxOptions", beta=0.5), [real("x", 2, 3)], [real("y", 2, 3)]),
    "log softmax": (OPS.LOG_SOFTMAX, options("LogSoftmaxOptions"), [real("x", 2, 3)], [real("y", 2, 3)]),
    "length": (OPS.L2_NORMALIZATION, options("L2NormOptions"), [real("x", 2, 3)], [real("y", 2, 3)]),
    "reshape": (OPS.RESHAPE, options("ReshapeOptions", newShape=[3, 2]),
                [real("x", 2, 3), constant("s", [3, 2])], [real("y", 3, 2)]),
    "transpose": (OPS.TRANSPOSE, options("TransposeOptions"),
                  [real("x", 2, 3, 4), constant("p", [2, 0, 1])], [real("y", 4, 2, 3)]),
    "join": (OPS.CONCATENATION, options("ConcatenationOptions", axis=-1),
             [real("a", 1, 2, 2, 3), real("b", 1, 2, 2, 1)], [real("y", 1, 2, 2, 4)]),
    "stack": (OPS.PACK, options("PackOptions", axis=1, valuesCount=2),
              [real("a", 2, 3), real("b", 2, 3)], [real("y", 2, 2, 3)]),
    "unstack": (OPS.UNPACK, options("UnpackOptions", axis=1, num=3),
                [real("x", 2, 3)], [real("y", 2), real("z", 2), real("v", 2)]),
    "split": (OPS.SPLIT, options("SplitOptions", numSplits=2),
              [constant("a", 1), real("x", 2, 4)], [real("y", 2, 2), real("z", 2, 2)]),
    "pad": (OPS.PAD, options("PadOptions"),
            [IMAGE, constant("p", [[0, 0], [1, 2], [0, 1], [0, 0]])], [real("y", 1, 10, 7, 4)]),
    "pad with": (OPS.PADV2, options("PadV2Options"),
                 [real("x", 2, 3), constant("p", [[1, 0], [0, 2]]), constant("v", np.array([1.5]))], [real("y", 3, 5)]),
    "mirror": (OPS.MIRROR_PAD, options("MirrorPadOptions", mode=0),
               [real("x", 3, 4), constant("p", [[1, 1], [2, 0]])], [real("y", 5, 6)]),
    "slice": (OPS.SLICE, options("SliceOptions"),
              [real("x", 3, 4), constant("b", [1, 0]), constant("s", [2, -1])], [real("y", 2, 4)]),
    "strided": (OPS.STRIDED_SLICE, options("StridedSliceOptions", beginMask=0, endMask=2, shrinkAxisMask=1),
                [real("x", 3, 5), constant("b", [1, 1]), constant("e", [2, 0]), constant("s", [1, 2])], [real("y", 2)]),
    "gather": (OPS.GATHER, options("GatherOptions", axis=1), [real("x", 2, 5), constant("i", [3, 0])], [real("y", 2, 2)]),
    "tile": (OPS.TILE, options("TileOptions"), [real("x", 2, 3), constant("n", [1, 2])], [real("y", 2, 6)]),
    "nearest": (OPS.RESIZE_NEAREST_NEIGHBOR, options("ResizeNearestNeighborOptions"),
                [IMAGE, constant("s", [10, 9])], [real("y", 1, 10, 9, 4)]),
    "nearest half": (OPS.RESIZE_NEAREST_NEIGHBOR, options("ResizeNearestNeighborOptions", halfPixelCenters=True),
                     [IMAGE, constant("s", [14, 3])], [real("y", 1, 14, 3, 4)]),
    "linear": (OPS.RESIZE_BILINEAR, options("ResizeBilinearOptions", halfPixelCenters=True),
               [IMAGE, constant("s", [14, 12])], [real("y", 1, 14, 12, 4)]),
    "linear aligned": (OPS.RESIZE_BILINEAR, options("ResizeBilinearOptions", alignCorners=True),
                       [IMAGE, constant("s", [13, 11])], [real("y", 1, 13, 11, 4)]),
    "to space": (OPS.DEPTH_TO_SPACE, options("DepthToSpaceOptions", blockSize=2),
                 [real("x", 1, 2, 3, 8)], [real("y", 1, 4, 6, 2)]),
    "to depth": (OPS.SPACE_TO_DEPTH, options("SpaceToDepthOptions", blockSize=2),
                 [real("x", 1, 4, 6, 2)], [real("y", 1, 2, 3, 8)]),
}


@pytest.mark.parametrize("name", CASES)
def test_every_operator_computes_what_litert_computes(name: str, tmp_path: Path) -> None:
    opcode, (stated, number), inputs, outputs = CASES[name]
    content = single_operator(opcode, stated, number, inputs, outputs)
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    given = [spec for spec in inputs if spec.data is None]
    feeds = [reals(*spec.shape, seed=3 + place) for place, spec in enumerate(given)]
    expected = litert(content, feeds)
    model = FloatModel.load(path)
    found = model.run({spec.name: feed for spec, feed in zip(given, feeds, strict=True)})
    for spec, value in zip(outputs, expected, strict=True):
        assert found[spec.name].shape == value.shape
        assert np.abs(found[spec.name] - value).max() < 1e-5
        assert np.ptp(value) > 0.1


@pytest.fixture
def tiny() -> Path:
    folder = os.environ.get("ACCELSIM_TEST_DATA")
    if folder is None:
        pytest.skip("needs the networks of MLPerf Tiny: set ACCELSIM_TEST_DATA")
    return Path(folder) / "models/mlperf_tiny"


def with_real_weights(content: bytes) -> bytes:
    """A network whose weights are stored as integers, with the real numbers in their place."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == schema.TensorType.INT8:
            buffer = model.buffers[tensor.buffer]
            integers = np.asarray(buffer.data, np.uint8).view(np.int8)
            buffer.data = np.frombuffer((integers.astype(F) * F(tensor.quantization.scale[0])).tobytes(), np.uint8)
            tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(("file", "size"), [("pretrainedResnet.tflite", 50.0), ("kws_ref_model_float32.tflite", 1.0)])
def test_networks_of_mlperf_tiny_compute_what_litert_computes(file: str, size: float, tiny: Path) -> None:
    model = FloatModel.load(tiny / file)
    (name,) = model.inputs
    x = size * reals(*model.sizes[name])
    (expected,) = litert(with_real_weights((tiny / file).read_bytes()), [x])
    assert np.abs(model.run({name: x})[model.outputs[0]] - expected).max() < 1e-5
    assert np.ptp(expected) > 0.1
    assert not any(each.op == "Transpose" for each in model.nodes[1:-4])


def test_a_tflite_network_becomes_integers(tiny: Path, tmp_path: Path) -> None:
    model = FloatModel.load(tiny / "pretrainedResnet.tflite")
    samples = np.load(tiny.parents[1] / "inputs/cifar_rgb_u8.npz")["x"].astype(F)
    made = quantize(model, samples)
    network = made.network()
    assert sum(layer.is_on_grid for layer in network.network.layers) == 10
    assert network.network.macs == 12_501_632


def test_what_is_no_float_tflite_network_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"

    def complaint(content: bytes, **options: Any) -> str:
        path.write_bytes(content)
        with pytest.raises(WorkloadError) as caught:
            FloatModel.load(path, **options)
        return str(caught.value).removeprefix(f"{path}: ")

    integers = TensorSpec("x", (1, 3), np.int8, 0.5, 0)
    assert complaint(single_operator(OPS.TANH, None, 0, [integers], [TensorSpec("y", (1, 3), np.int8, 1 / 128, 0)])) == (
        "tanh_0: expected a network in floating point, got int8 with scales")
    known = single_operator(OPS.TANH, None, 0, [real("x", 1, 3)], [real("y", 1, 3)])
    assert complaint(known, shapes={"x": (2, 3)}) == "a TFLite model has the shapes of its file, got x"
    assert complaint(known[:40]).startswith("not a TFLite model, or a truncated one")
    path.write_bytes(single_operator(OPS.LOCAL_RESPONSE_NORMALIZATION, *options("LocalResponseNormalizationOptions"),
                                     [real("x", 1, 2, 2, 3)], [real("y", 1, 2, 2, 3)]))
    with pytest.raises(UnsupportedOperatorError) as caught:
        FloatModel.load(path)
    assert str(caught.value) == (
        f"{path}: operators that accelsim does not convert from TFLite: LOCAL_RESPONSE_NORMALIZATION x1")


def test_a_batch_may_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(single_operator(OPS.TANH, None, 0, [real("x", 1, 3)], [real("y", 1, 3)]))
    assert FloatModel.load(path, batch=4).sizes["y"] == (4, 3)
