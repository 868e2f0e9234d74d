"""Small ONNX graphs, written in memory and run by onnxruntime on its CPU: an independent source of expected integers.

Importing this module without onnx or onnxruntime skips the importing test module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="needs onnx, to write models")
runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime, to ask it")


def node(operator: str, inputs: Sequence[str], output: str, *, domain: str = "", **attributes: Any) -> Any:
    """A node with one output."""
    return onnx.helper.make_node(operator, list(inputs), [output], domain=domain, **attributes)


def run_graph(nodes: Sequence[Any], x: NDArray[Any], constants: Mapping[str, NDArray[Any]] | None = None, *,
              output_type: Any = None, opset: int = 21, is_optimized: bool = True) -> NDArray[Any]:
    """The last node's output under onnxruntime; the graph's input is called "x".

    Parameters
    ----------
    constants : initializers by name.
    output_type : dtype of the output; None is the input's.
    is_optimized : False turns all graph optimizations off, so that each node runs as it stands.
    """
    kinds = {name: onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
             for name, dtype in (("x", x.dtype), ("y", output_type or x.dtype))}
    graph = onnx.helper.make_graph(
        list(nodes), "g", [onnx.helper.make_tensor_value_info("x", kinds["x"], x.shape)],
        [onnx.helper.make_tensor_value_info(nodes[-1].output[0], kinds["y"], None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset), onnx.helper.make_opsetid("com.microsoft", 1)],
        ir_version=10)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not is_optimized:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])
