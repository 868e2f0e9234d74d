"""Models of DequantizeLinear, float operators and QuantizeLinear, and their comparison with onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from quantized_models import differences, node, write_graph

from accelsim.workload import import_onnx
from accelsim.workload.onnx.values import import_quantized_onnx
from accelsim.workload.quantized_network import QuantizedNetwork

S = np.float32
CONSTANTS = {"xs": S(0.02), "xz": np.uint8(120), "vs": S(0.03), "vz": np.uint8(7), "ws": S(0.011), "wz": np.int8(0),
             "ys": S(0.05), "yz": np.uint8(100), "us": S(1 / 256), "uz": np.uint8(0)}
MICROSOFT = {"domain": "com.microsoft"}
IMAGE = {"x": [1, 3, 8, 8]}


def signed(*shape: int) -> np.ndarray:
    return np.random.default_rng([1, *shape]).integers(-127, 128, shape).astype(np.int8)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng([2, *shape]).normal(size=shape).astype(S)


def positive(*shape: int) -> np.ndarray:
    return np.abs(normal(*shape)) + S(0.1)


def of_channels(count: int) -> dict[str, np.ndarray]:
    return {"ws": np.random.default_rng(count).uniform(0.001, 0.02, count).astype(S), "wz": np.zeros(count, np.int8)}


def rounded(source: str, output: str, scale: str, **attributes: Any) -> list:
    """QuantizeLinear and DequantizeLinear with the scale and zero point of that letter."""
    parameters = [f"{scale}s", f"{scale}z"]
    return [node("QuantizeLinear", [source, *parameters], [f"{output}q"], name=f"{output}q", **attributes),
            node("DequantizeLinear", [f"{output}q", *parameters], [output], **attributes)]


def dequantized(constant: str, output: str, scale: str, **attributes: Any) -> Any:
    return node("DequantizeLinear", [constant, f"{scale}s", f"{scale}z"], [output], **attributes)


def between(*nodes: Any, read: str = "x", written: str = "y") -> list:
    """Nodes from "xd" to "c" between roundings."""
    return [*rounded("x", "xd", read), *nodes, *rounded("c", "y", written)]


def agreeing(tmp_path: Path, nodes: list, shapes: dict[str, list[int]], constants: dict[str, Any], *, opset: int = 21,
             share: float = 0.0) -> QuantizedNetwork:
    """The network of a model, after all of its integers were found equal to onnxruntime's, or a share to differ by 1."""
    inputs = {name: (S, shape) for name, shape in shapes.items()}
    path = write_graph(tmp_path / "model.onnx", nodes, inputs, [nodes[-1].output[0]], CONSTANTS | constants, opset=opset)
    network = import_quantized_onnx(path)
    assert network.network == import_onnx(path)
    for seed in (1, 2):
        feeds = {name: 2 * np.random.default_rng([seed, place, *shape]).normal(size=shape).astype(S)
                 for place, (name, shape) in enumerate(shapes.items())}
        found = differences(network, path, feeds)
        assert found
        assert max(distance for _, distance in found.values()) <= (1 if share else 0)
        outputs = sum(layer.output.elements for layer in network.network.layers)
        assert sum(count for count, _ in found.values()) <= share * outputs
    return network


def kinds(network: QuantizedNetwork) -> list[str]:
    return [layer.kind for layer in network.network.layers]
