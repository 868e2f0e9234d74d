"""Small seeded networks, quantized by onnxruntime's own quantizer, and what onnxruntime computes for them.

Importing this module without onnx or onnxruntime skips the importing test module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from quantized_executor import run_layer

from accelsim.workload.quantized_network import QuantizedNetwork

onnx = pytest.importorskip("onnx", reason="needs onnx, to write models")
runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime, to quantize and run models")
quantization = pytest.importorskip("onnxruntime.quantization", reason="needs onnxruntime's quantizer")

Array = NDArray[Any]
node = onnx.helper.make_node


@dataclass(frozen=True)
class FloatModel:
    """A network in floating point with one input "x" and one output "y"."""

    nodes: Sequence[Any]
    shape: tuple[int, ...]
    constants: Mapping[str, Array]
    opset: int = 17

    def save(self, path: Path) -> Path:
        """Writes the model."""
        helper = onnx.helper
        graph = helper.make_graph(
            list(self.nodes), "net", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
            [onnx.numpy_helper.from_array(value, name) for name, value in self.constants.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        path.write_bytes(onnx.shape_inference.infer_shapes(model).SerializeToString())
        return path

    def samples(self, count: int, seed: int = 7) -> list[Array]:
        """Inputs, one by one."""
        random = np.random.default_rng(seed)
        return [random.normal(size=self.shape).astype(np.float32) for _ in range(count)]


class Weights:
    """Seeded weights whose products keep the size of what they are applied to."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.constants: dict[str, Array] = {}

    def add(self, name: str, *shape: int, scale: float | None = None) -> str:
        inner = int(np.prod(shape[1:])) or 1
        size = scale if scale is not None else (2.0 / inner) ** 0.5
        self.constants[name] = (size * self._random.normal(size=shape)).astype(np.float32)
        return name

    def keep(self, name: str, value: Array | Sequence[float]) -> str:
        self.constants[name] = np.asarray(value)
        return name


def convolutional(seed: int = 0) -> FloatModel:
    """Strided, depthwise, dilated and grouped convolutions, a residual addition, a concatenation, pools, a classifier."""
    w = Weights(seed)

    def conv(source: str, output: str, *shape: int, **attributes: Any) -> Any:
        names = [source, w.add(f"{output}_w", *shape), w.add(f"{output}_b", shape[0], scale=0.1)]
        return node("Conv", names, [output], name=output, **attributes)

    nodes = [
        conv("x", "stem", 8, 3, 3, 3, strides=[2, 2], pads=[1, 1, 1, 1]), node("Relu", ["stem"], ["stem_r"]),
        conv("stem_r", "deep", 8, 1, 3, 3, group=8, pads=[1, 1, 1, 1]), node("Relu", ["deep"], ["deep_r"]),
        conv("deep_r", "point", 8, 8, 1, 1), node("Add", ["point", "stem_r"], ["sum"], name="sum"),
        conv("sum", "wide", 8, 8, 3, 3, dilations=[2, 2], pads=[2, 2, 2, 2]),
        conv("sum", "grouped", 8, 4, 3, 2, group=2, pads=[1, 0, 1, 1]),
        node("Concat", ["wide", "grouped"], ["both"], name="both", axis=1),
        node("MaxPool", ["both"], ["largest"], name="largest", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0]),
        node("AveragePool", ["largest"], ["mean"], name="mean", kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1]),
        conv("mean", "last", 12, 16, 1, 1), node("Relu", ["last"], ["last_r"]),
        node("GlobalAveragePool", ["last_r"], ["global"], name="global"), node("Flatten", ["global"], ["flat"]),
        node("Gemm", ["flat", w.add("fc_w", 10, 12), w.add("fc_b", 10, scale=0.1)], ["logits"], name="fc", transB=1),
        node("Softmax", ["logits"], ["y"], name="softmax", axis=-1),
    ]
    return FloatModel(nodes, (1, 3, 16, 16), w.constants)


def transformer(seed: int = 0, *, width: int = 16, heads: int = 2, length: int = 6) -> FloatModel:
    """A block of a transformer: projections with bias, two products of activations, softmax, layer norm, a GELU by erf."""
    w = Weights(seed)
    nodes = []

    def linear(source: str, output: str, k: int, n: int) -> None:
        nodes.extend([
            node("MatMul", [source, w.add(f"{output}_w", k, n, scale=k ** -0.5)], [f"{output}_p"], name=f"{output}_product"),
            node("Add", [f"{output}_p", w.add(f"{output}_b", n, scale=0.1)], [output], name=output)])

    w.keep("split", np.array([1, length, heads, width // heads]))
    w.keep("merged", np.array([1, length, width]))
    for name in "qkv":
        linear("x", name, width, width)
        nodes.append(node("Reshape", [name, "split"], [f"{name}_split"]))
        order = [0, 2, 3, 1] if name == "k" else [0, 2, 1, 3]
        nodes.append(node("Transpose", [f"{name}_split"], [f"{name}_heads"], name=f"{name}_heads", perm=order))
    w.keep("root", np.array((width // heads) ** -0.5, np.float32))
    nodes += [
        node("MatMul", ["q_heads", "k_heads"], ["scores"], name="scores"),
        node("Mul", ["scores", "root"], ["scaled"], name="scaled"),
        node("Softmax", ["scaled"], ["attention"], name="attention", axis=-1),
        node("MatMul", ["attention", "v_heads"], ["context"], name="context"),
        node("Transpose", ["context"], ["context_t"], name="context_t", perm=[0, 2, 1, 3]),
        node("Reshape", ["context_t", "merged"], ["context_m"])]
    linear("context_m", "out", width, width)
    nodes += [
        node("Add", ["out", "x"], ["residual"], name="residual"),
        node("LayerNormalization", ["residual", w.keep("gamma", np.linspace(0.5, 1.5, width, dtype=np.float32)),
                                    w.add("beta", width, scale=0.1)], ["normal"], name="normal", axis=-1)]
    linear("normal", "up", width, 2 * width)
    nodes.append(node("Sigmoid", ["up"], ["gate"], name="gate"))
    nodes.append(node("Mul", ["up", "gate"], ["hidden"], name="hidden"))
    linear("hidden", "y", 2 * width, width)
    return FloatModel(nodes, (1, length, width), w.constants)


class Calibration(quantization.CalibrationDataReader):
    """Samples of a model, fed to the quantizer."""

    def __init__(self, samples: Sequence[Array]) -> None:
        self._left = iter(samples)

    def get_next(self) -> dict[str, Array] | None:
        sample = next(self._left, None)
        return None if sample is None else {"x": sample}


def quantized(model: FloatModel, folder: Path, *, form: str = "QDQ", activation: str = "QUInt8", weight: str = "QInt8",
              is_per_channel: bool = True, **options: Any) -> Path:
    """A model quantized statically.

    Parameters
    ----------
    form : "QDQ" or "QOperator".
    activation, weight : names of `onnxruntime.quantization.QuantType`.
    options : of `quantize_static`.
    """
    source = model.save(folder / "float.onnx")
    path = folder / f"{form}_{activation}_{weight}_{is_per_channel}.onnx"
    quantization.quantize_static(
        source, path, Calibration(model.samples(8, seed=1)), quant_format=quantization.QuantFormat[form],
        activation_type=quantization.QuantType[activation], weight_type=quantization.QuantType[weight],
        per_channel=is_per_channel, **options)
    return path


def runtime_tensors(path: Path, feeds: Mapping[str, Array], names: Sequence[str], *,
                    keeps_int8: bool = False) -> dict[str, Array]:
    """What onnxruntime's default session computes for these tensors of a model; less than 8 bits come as int8 or uint8.

    With `keeps_int8` the session leaves int8 activations between DequantizeLinear and QuantizeLinear as they are; else it
    makes uint8 of them on x86, and where it cannot do so for all that a layer touches, that layer runs in float32.

    A model with such narrow activations runs with basic optimizations: the extended ones (onnxruntime 1.31) drop a ReLU
    before a 4-bit QuantizeLinear whose zero point does not make it superfluous, and write operators that have no 4 bits.
    """
    model = onnx.load(path)
    helper, narrow = onnx.helper, _narrow_tensors(model)
    known = {output.name for output in model.graph.output}
    fetched = {name: f"{name}_widened" if name in narrow else name for name in names}
    # onnxruntime has no numpy type for packed integers.
    model.graph.node.extend(node("Cast", [name], [fetched[name]], to=narrow[name]) for name in narrow if name in fetched)
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in fetched.values() if name not in known)
    session_options = runtime.SessionOptions()
    session_options.log_severity_level = 3
    if keeps_int8:
        session_options.add_session_config_entry("session.qdqisint8allowed", "1")
    if narrow:
        session_options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = runtime.InferenceSession(model.SerializeToString(), session_options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(list(fetched.values()), dict(feeds)), strict=True))


def _narrow_tensors(model: Any) -> dict[str, int]:
    """Outputs of QuantizeLinear of less than 8 bits, and the element type that holds them."""
    kinds = onnx.TensorProto
    wider = {kinds.INT4: kinds.INT8, kinds.INT2: kinds.INT8, kinds.UINT4: kinds.UINT8, kinds.UINT2: kinds.UINT8}
    types = {constant.name: constant.data_type for constant in model.graph.initializer}
    return {each.output[0]: wider[types[each.input[2]]] for each in model.graph.node
            if each.op_type == "QuantizeLinear" and len(each.input) > 2 and types.get(each.input[2]) in wider}


def write_graph(path: Path, nodes: Sequence[Any], inputs: Mapping[str, tuple[Any, Sequence[int | str]]],
                outputs: Sequence[str], constants: Mapping[str, Any], *, opset: int = 21) -> Path:
    """A model of hand-written nodes.

    Parameters
    ----------
    inputs : name -> (dtype, shape).
    constants : name -> array, or a TensorProto as it is.
    """
    helper = onnx.helper
    graph = helper.make_graph(
        list(nodes), "net", [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
                             for name, (dtype, shape) in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [value if isinstance(value, onnx.TensorProto) else onnx.numpy_helper.from_array(np.asarray(value), name)
         for name, value in constants.items()])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())
    return path


def differences(network: QuantizedNetwork, path: Path, feeds: Mapping[str, Array], *, is_chained: bool = True,
                keeps_int8: bool = False) -> dict[str, tuple[int, int]]:
    """Layer -> (outputs that differ from onnxruntime's, by how much at most), for every tensor that the model names.

    Parameters
    ----------
    is_chained : whether a layer reads what our layers wrote, else what onnxruntime wrote.
    keeps_int8 : as for `runtime_tensors`.
    """
    names = {layer.name: network.layers[layer.name].model_output for layer in network.network.layers}
    expected = runtime_tensors(path, feeds, [name for name in names.values() if name], keeps_int8=keeps_int8)
    values = {each.tensor: each.qparams.quantize(feeds[each.name]) if each.is_float else feeds[each.name]
              for each in network.inputs}
    found = {}
    for layer in network.network.layers:
        ours = run_layer(network, layer, values)
        values[layer.output.name] = ours
        if names[layer.name]:
            theirs = expected[names[layer.name]].reshape(ours.shape)
            assert theirs.dtype == ours.dtype, layer.name
            assert theirs.size < 8 or np.unique(theirs).size > 1, f"{layer.name}: the test's outputs are all alike"
            distance = np.abs(ours.astype(np.int64) - theirs.astype(np.int64))
            found[layer.name] = int(np.count_nonzero(distance)), int(distance.max())
            values[layer.output.name] = ours if is_chained else theirs
    return found


def vectorial(seed: int = 0) -> FloatModel:
    """Operators beside convolutions: clamps, tables, differences, quotients, pads, resizes, slices, blocks, reductions."""
    w = Weights(seed)
    w.keep("pads", np.array([0, 0, 1, 2, 0, 0, 2, 1]))
    w.keep("two", np.array([1, 1, 2, 2], np.float32))
    w.keep("third", np.array(3, np.float32))
    w.keep("low", np.array(-0.7, np.float32))
    w.keep("high", np.array(0.9, np.float32))
    w.keep("starts", np.array([1, 2]))
    w.keep("ends", np.array([7, 8]))
    w.keep("axes", np.array([2, 3]))
    w.keep("scale4", np.linspace(0.5, 2, 4, dtype=np.float32).reshape(4, 1, 1))
    w.add("up_w", 4, 4, 3, 3)
    w.add("up_b", 4, scale=0.1)
    nodes = [
        node("LeakyRelu", ["x"], ["leaky"], name="leaky", alpha=0.1),
        node("Clip", ["leaky", "low", "high"], ["clip"], name="clip"),
        node("Sub", ["leaky", "x"], ["sub"], name="sub"),
        node("Max", ["sub", "clip"], ["max"], name="max"),
        node("Min", ["max", "x"], ["min"], name="min"),
        node("Div", ["min", "third"], ["div"], name="div"),
        node("Mul", ["div", "scale4"], ["mul"], name="mul"),
        node("Tanh", ["mul"], ["tanh"], name="tanh"),
        node("HardSwish", ["tanh"], ["swish"], name="swish"),
        node("Erf", ["swish"], ["erf"], name="erf"),
        node("Pad", ["erf", "pads"], ["pad"], name="pad"),
        node("Resize", ["pad", "", "two"], ["near"], name="near", mode="nearest"),
        node("Slice", ["near", "starts", "ends", "axes"], ["slice"], name="slice"),
        node("ConvTranspose", ["slice", "up_w", "up_b"], ["up"], name="up", strides=[2, 2], pads=[1, 1, 1, 1],
             output_padding=[1, 0]),
        node("Relu", ["up"], ["up_r"]),
        node("SpaceToDepth", ["even"], ["blocks"], name="blocks", blocksize=2),
        node("Split", ["blocks"], ["one", "other"], name="parts", axis=1),
        node("Concat", ["other", "one"], ["swapped"], name="swapped", axis=1),
        node("DepthToSpace", ["swapped"], ["space"], name="space", blocksize=2),
        node("Resize", ["space", "", "two"], ["line"], name="line", mode="linear"),
        node("ReduceMean", ["line"], ["y"], name="mean", axes=[2, 3], keepdims=0),
    ]
    w.keep("even_starts", np.array([0, 1]))
    w.keep("even_ends", np.array([12, 11]))
    nodes.insert(15, node("Slice", ["up_r", "even_starts", "even_ends", "axes"], ["even"], name="even"))
    return FloatModel(nodes, (1, 4, 6, 6), w.constants)
