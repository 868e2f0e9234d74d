"""Whatever bytes a file holds: a network or one of the project's own errors, never another exception."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import helper

from accelsim.errors import AccelsimError
from accelsim.workload import load_network, shipped_workloads

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

TOPOLOGY = b"""Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1, 224, 224, 11, 11, 3, 96, 4,
Conv2_DP, 31, 31, 5, 5, 96, 256, 1,
"""

LAYER_LIST = b"""schema_version: 1
name: tiny
source: a test
parameters: {batch: 1}
inputs: {image: [batch, 3, 8, 8]}
layers:
  - {name: a, op: conv, filters: 4, kernel: 3, pad: same, activation: relu, bits: {weights: 4}}
  - repeat: {times: 2, layers: [{name: b, op: conv, filters: 4, kernel: [1, 1]}, {name: c, op: add, from: [b, a]}]}
  - {name: t, op: transpose, order: [0, 2, 3, 1]}
  - {name: r, op: reshape, shape: [1, 64, 4]}
  - {name: s, op: matmul, from: [r, r], heads: 2, transpose: true}
  - {name: p, op: pool, from: a, kind: average, kernel: 2}
"""


@st.composite
def mutations(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid file with a few bytes replaced, taken out, doubled or swapped for another number."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        if not content:
            break
        place = draw(st.integers(0, len(content) - 1))
        length = draw(st.integers(1, 6))
        kind = draw(st.sampled_from(["replace", "delete", "double", "move"]))
        if kind == "replace":
            content[place : place + 1] = draw(st.binary(min_size=1, max_size=3))
        elif kind == "delete":
            del content[place : place + length]
        else:
            piece = content[place : place + length]
            target = place if kind == "double" else draw(st.integers(0, len(content)))
            content[target:target] = piece
    return bytes(content)


def load(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with contextlib.suppress(AccelsimError):
        load_network(path)


@pytest.mark.parametrize("suffix", ["onnx", "csv", "yaml"])
@FUZZ
@given(content=st.binary(max_size=200))
def test_random_bytes(tmp_path: Path, suffix: str, content: bytes) -> None:
    load(tmp_path / f"net.{suffix}", content)


@FUZZ
@given(content=mutations(TOPOLOGY))
def test_mutated_topology(tmp_path: Path, content: bytes) -> None:
    load(tmp_path / "net.csv", content)


@FUZZ
@given(content=mutations(LAYER_LIST))
@example(content=b"- " * 3000)
@example(content=b"a: &x [*x]")
@example(content=b"%YAML 9.9\n---\na: 1")
@example(content=b"a: " + b"9" * 5000)
@example(content=b"? [a]\n: 1")
@example(content=b"--- a\n--- b")
def test_mutated_layer_list(tmp_path: Path, content: bytes) -> None:
    load(tmp_path / "net.yaml", content)


@FUZZ
@given(text=st.text(alphabet="{}[]:,-&*!|>'\"%@`#? \nab1", max_size=60))
def test_yaml_punctuation(tmp_path: Path, text: str) -> None:
    load(tmp_path / "net.yaml", text.encode())


@settings(FUZZ, max_examples=200)
@given(data=st.data())
def test_mutated_onnx(save_model: Callable[..., Path], data: st.DataObject) -> None:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", ["c"], ["r"]),
        node("Shape", ["r"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Concat", ["n", "rest"], ["t"], axis=0),
        node("Reshape", ["r", "t"], ["f"]),
        node("QuantizeLinear", ["f", "scale"], ["q"]),
        node("DequantizeLinear", ["q", "scale"], ["d"]),
        node("MatMul", ["d", "m"], ["y"]),
        node("Pad", ["y", "pads"], ["p"]),
        node("MaxPool", ["r"], ["o"], kernel_shape=[2, 2]),
    ]
    constants = {"w": np.zeros((4, 3, 3, 3), np.float32), "zero": np.array([0]), "rest": np.array([64]),
                 "m": np.zeros((64, 2), np.float32), "scale": np.array(1, np.float32), "pads": np.array([0, 1, 0, 1])}
    path = save_model(nodes, {"x": [1, 3, 8, 8]}, ["p", "o"], constants)
    load(path, data.draw(mutations(path.read_bytes())))


def test_every_shipped_workload_survives_any_size_of_its_parameters() -> None:
    for name in shipped_workloads():
        for size in (2, 2**40):
            with contextlib.suppress(AccelsimError):
                load_network(name, batch=size)
