"""Whatever bytes a quantized model holds: a network with integers or one of the project's own errors."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quantized_models import node, write_graph

from accelsim.errors import AccelsimError
from accelsim.workload.onnx.values import import_quantized_onnx

S = np.float32

NODES = [
    node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
    node("QLinearConv", ["xq", "s", "z", "w", "t", "i", "s", "z", "b"], ["c"], pads=[1, 1, 1, 1]),
    node("MaxPool", ["c"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
    node("DequantizeLinear", ["m", "s", "z"], ["md"]),
    node("DequantizeLinear", ["v", "s", "i"], ["vd"]),
    node("Add", ["md", "vd"], ["a"]),
    node("QuantizeLinear", ["a", "s", "z"], ["aq"]),
    node("DequantizeLinear", ["aq", "s", "z"], ["ad"]),
    node("Resize", ["ad", "", "two"], ["r"]),
    node("Relu", ["r"], ["l"]),
    node("QuantizeLinear", ["l", "s", "z"], ["lq"]),
    node("Reshape", ["lq", "flat"], ["f"]),
    node("QGemm", ["f", "s", "z", "g", "s", "i", "", "s", "z"], ["y"], domain="com.microsoft", transB=1),
]
CONSTANTS = {
    "s": S(0.1), "z": np.uint8(3), "i": np.int8(0), "t": np.full(4, 0.1, S), "w": np.ones((4, 3, 3, 3), np.int8),
    "b": np.zeros(4, np.int32), "v": np.ones((4, 1, 1), np.int8), "two": np.array([1, 1, 2, 2], S),
    "flat": np.array([1, -1]), "g": np.ones((5, 256), np.int8),
}


@st.composite
def mutations(draw: st.DrawFn) -> list[tuple[float, bytes]]:
    """Places in a file, as shares of its length, and what is written over them."""
    return draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=3)), min_size=1,
                         max_size=4))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=mutations())
def test_a_mutated_model_is_a_network_or_an_error_of_our_own(tmp_path: Path, changes: list[tuple[float, bytes]]) -> None:
    path = write_graph(tmp_path / "model.onnx", NODES, {"x": (S, [1, 3, 8, 8])}, ["y"], CONSTANTS)
    content = bytearray(path.read_bytes())
    for share, written in changes:
        place = int(share * len(content))
        content[place:place + len(written)] = written
    path.write_bytes(bytes(content))
    with contextlib.suppress(AccelsimError):
        import_quantized_onnx(path)
