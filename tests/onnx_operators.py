"""One-operator ONNX models on integers, run by onnxruntime on its CPU: an independent source of expected integers.

Importing this module without onnx or onnxruntime skips the importing test module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams

onnx = pytest.importorskip("onnx", reason="needs onnx, to write models")
runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime, to ask it")

#: A tensor's integers and their grid.
OnGrid = tuple[NDArray[Any], QParams]


def run_fused(operator: str, inputs: Sequence[OnGrid], output: QParams, **attributes: Any) -> NDArray[Any]:
    """An operator of com.microsoft whose inputs are (tensor, scale, zero point), the output's scale and zero point last."""
    names: list[str] = []
    constants = _parameters("y", output)
    for place, (_, grid) in enumerate(inputs):
        constants |= _parameters(f"x{place}", grid)
        names += [f"x{place}", f"x{place}_scale", f"x{place}_zero"]
    written = ["y_scale", "y_zero"]
    names = written + names if operator == "QLinearConcat" else names + written
    node = onnx.helper.make_node(operator, names, ["y"], domain="com.microsoft", **attributes)
    return _run([node], inputs, output, constants, 21)


def run_between_roundings(operator: str, inputs: Sequence[OnGrid], output: QParams, *, more: dict[str, Any] | None = None,
                          held: Sequence[int] = (), then: str = "", opset: int = 21, **attributes: Any) -> NDArray[Any]:
    """DequantizeLinear, the operator on real numbers, QuantizeLinear, as onnxruntime optimizes them.

    Parameters
    ----------
    more : constants that the operator takes behind its inputs, by name.
    held : positions of inputs that are initializers.
    then : an operator of one input behind it, before the rounding.
    """
    constants = _parameters("y", output) | dict(more or {})
    nodes = []
    for place, (values, grid) in enumerate(inputs):
        constants |= _parameters(f"x{place}", grid)
        if place in held:
            constants[f"x{place}"] = values
        parts = [f"x{place}", f"x{place}_scale", f"x{place}_zero"]
        nodes.append(onnx.helper.make_node("DequantizeLinear", parts, [f"f{place}"]))
    reals = [f"f{place}" for place in range(len(inputs))]
    nodes.append(onnx.helper.make_node(operator, [*reals, *(more or {})], ["f"], **attributes))
    if then:
        nodes.append(onnx.helper.make_node(then, ["f"], ["g"]))
    nodes.append(onnx.helper.make_node("QuantizeLinear", ["g" if then else "f", "y_scale", "y_zero"], ["y"]))
    fed = [(values, grid) if place not in held else None for place, (values, grid) in enumerate(inputs)]
    return _run(nodes, fed, output, constants, opset)


def _parameters(name: str, grid: QParams) -> dict[str, NDArray[Any]]:
    return {f"{name}_scale": np.asarray(grid.scale, dtype=np.float32),
            f"{name}_zero": np.asarray(grid.zero_point, dtype=grid.qtype.dtype)}


def _run(nodes: list[Any], fed: Sequence[OnGrid | None], output: QParams, constants: dict[str, NDArray[Any]],
         opset: int) -> NDArray[Any]:
    def kind(grid: QParams) -> int:
        return int(onnx.helper.np_dtype_to_tensor_dtype(grid.qtype.dtype))

    given = {f"x{place}": pair for place, pair in enumerate(fed) if pair is not None}
    graph = onnx.helper.make_graph(
        nodes, "g", [onnx.helper.make_tensor_value_info(name, kind(grid), values.shape)
                     for name, (values, grid) in given.items()],
        [onnx.helper.make_tensor_value_info("y", kind(output), None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset), onnx.helper.make_opsetid("com.microsoft", 1)],
        ir_version=10)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {name: values for name, (values, _) in given.items()})[0])
