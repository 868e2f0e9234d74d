"""Small ONNX models for the importer's tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

SaveModel = Callable[..., Path]


@pytest.fixture
def save_model(tmp_path: Path) -> SaveModel:
    """Writes a model: nodes, float inputs by name and shape, outputs by name, constants by name."""

    def save(
        nodes: Sequence[onnx.NodeProto],
        inputs: Mapping[str, Sequence[Any]],
        outputs: Sequence[str],
        constants: Mapping[str, np.ndarray[Any, Any] | onnx.TensorProto] | None = None,
        *,
        opset: int = 21,
        input_type: int = TensorProto.FLOAT,
        name: str = "model.onnx",
    ) -> Path:
        tensors = [
            value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(value, key)
            for key, value in (constants or {}).items()
        ]
        graph = helper.make_graph(
            list(nodes),
            "test",
            [helper.make_tensor_value_info(key, input_type, shape) for key, shape in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, None) for key in outputs],
            tensors,
        )
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        path = tmp_path / name
        path.write_bytes(model.SerializeToString())
        return path

    return save
