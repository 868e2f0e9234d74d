"""Whatever bytes a TFLite file holds: a network or one of the project's own errors, never another exception, and soon."""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from litert_networks import LitertNetwork

from accelsim.errors import AccelsimError, WorkloadError
from accelsim.workload.tflite.importer import import_quantized_tflite, import_tflite

FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def valid_model() -> bytes:
    """A model of every kind of operator that looks at constant operands."""
    model = LitertNetwork()
    rng = np.random.default_rng(0)

    def activation(name: str, *shape: int) -> int:
        return model.tensor(name, shape, scale=0.5, zero_point=3)

    def constant(name: str, values: list[int]) -> int:
        return model.tensor(name, [len(values)], "int32", data=values)

    real = model.tensor("real", (1, 8, 8, 4), "float32", signature=(-1, 8, 8, 4))
    x = activation("x", 1, 8, 8, 4)
    model.operator("QUANTIZE", [real], [x])
    w = model.tensor("w", (4, 3, 3, 2), scale=[0.1, 0.2, 0.3, 0.4], data=rng.integers(-9, 9, (4, 3, 3, 2)))
    b = model.tensor("b", (4,), "int32", scale=0.05, data=rng.integers(-9, 9, 4))
    c = activation("c", 1, 8, 8, 4)
    model.operator("CONV_2D", [x, w, b], [c], strideH=1, strideW=1, fusedActivationFunction=3)
    s = activation("s", 1, 8, 8, 4)
    model.operator("ADD", [c, x], [s])
    p = activation("p", 1, 10, 8, 4)
    model.operator("PAD", [s, model.tensor("pads", (4, 2), "int32", data=[0, 0, 1, 1, 0, 0, 0, 0])], [p])
    q = activation("q", 1, 5, 4, 4)
    model.operator("MAX_POOL_2D", [p], [q], strideH=2, strideW=2, filterHeight=2, filterWidth=2, padding=1)
    t = activation("t", 1, 4, 5, 4)
    model.operator("TRANSPOSE", [q, constant("order", [0, 2, 1, 3])], [t])
    g = activation("g", 1, 2, 5, 4)
    model.operator("GATHER", [t, constant("indices", [3, 0])], [g], axis=1)
    r = activation("r", 1, 2, 2, 2)
    operands = [constant(name, values) for name, values in
                (("begin", [0, 0, 1, 0]), ("end", [1, 2, 5, 4]), ("steps", [1, 1, 2, 2]))]
    model.operator("STRIDED_SLICE", [g, *operands], [r])
    f = activation("f", 1, 8)
    model.operator("RESHAPE", [r, constant("shape", [1, 8])], [f], newShape=[1, 8])
    v = model.tensor("v", (3, 8), "int4", scale=0.1, data=rng.integers(-8, 8, (3, 8)))
    y = activation("y", 1, 3)
    model.operator("FULLY_CONNECTED", [f, v, -1], [y])
    z = activation("z", 1, 3)
    model.operator("SOFTMAX", [y], [z], beta=1.0)
    return model.content([real], [z])


VALID = valid_model()


def read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for importer in (import_tflite, import_quantized_tflite):
        with contextlib.suppress(AccelsimError):
            importer(path)


def test_the_model_that_is_mutated_here_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(VALID)
    assert len(import_quantized_tflite(path).network.layers) == 9


@pytest.mark.parametrize("step", [7])
def test_a_file_cut_anywhere_is_refused_in_one_line(tmp_path: Path, step: int) -> None:
    path = tmp_path / "m.tflite"
    for length in range(0, len(VALID), step):
        path.write_bytes(VALID[:length])
        with pytest.raises(WorkloadError) as error:
            import_tflite(path)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)


@FUZZ
@given(content=st.binary(max_size=300), is_marked=st.booleans())
def test_random_bytes(tmp_path: Path, content: bytes, is_marked: bool) -> None:
    read(tmp_path / "m.tflite", content[:4] + b"TFL3" + content[4:] if is_marked else content)


@settings(FUZZ, max_examples=600)
@given(changes=st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), min_size=1, max_size=6))
@example(changes=[(0, 255), (3, 127)])
def test_changed_bytes(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    content = bytearray(VALID)
    for place, value in changes:
        content[place] = value
    read(tmp_path / "m.tflite", bytes(content))


def test_every_byte_flipped_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    for place in range(0, len(VALID), 3):
        content = bytearray(VALID)
        content[place] ^= (1, 0x80, 0xFF)[place % 3]
        read(path, bytes(content))


def test_vectors_that_all_lead_to_the_same_bytes_cost_no_more_than_the_file_explains(tmp_path: Path) -> None:
    # A root table of one field, "subgraphs", whose 60,000 entries all lead to one table with a long vector in it.
    count = 60_000
    numbers = np.zeros(count + 64, dtype="<u4")
    numbers[0], numbers[1] = 16, int.from_bytes(b"TFL3", "little")
    numbers[2:4] = [(12 << 16) | 10, (4 << 16) | 0]
    content = bytearray(numbers.tobytes())
    content[8:20] = bytes([10, 0, 8, 0, 0, 0, 0, 0, 4, 0, 0, 0])
    content[16:20] = (8).to_bytes(4, "little", signed=True)
    content[0:4] = (16).to_bytes(4, "little")
    content[20:24] = (4).to_bytes(4, "little")
    content[24:28] = count.to_bytes(4, "little")
    for entry in range(count):
        place = 28 + 4 * entry
        content[place:place + 4] = ((16 - place) % 2**32).to_bytes(4, "little")
    path = tmp_path / "m.tflite"
    tracemalloc.start()
    start = time.monotonic()
    read(path, bytes(content))
    assert time.monotonic() - start < 20
    assert tracemalloc.get_traced_memory()[1] < 400 * len(content)
    tracemalloc.stop()


def test_strings_without_end_are_refused(tmp_path: Path) -> None:
    model = LitertNetwork()
    for index in range(300):
        model.tensor("name" * 300, (1, 4), scale=0.5, zero_point=index % 5)
    model.operator("RELU", [0], [1])
    content = bytearray(model.content([0], [1]))
    # Every string's length grows from 1200 to what is left of the file.
    place = content.find((1200).to_bytes(4, "little"))
    while place >= 0:
        content[place:place + 4] = (len(content) - place - 4).to_bytes(4, "little")
        place = content.find((1200).to_bytes(4, "little"), place)
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(content))
    with pytest.raises(WorkloadError) as error:
        import_tflite(path)
    assert str(error.value) == (
        f"{path}: not a TFLite model, or a truncated one: expected at most 16 times its size to read, got more (it refers "
        "to the same bytes over and over)")
