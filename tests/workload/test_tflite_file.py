"""Files are read as the published schema says: compared with the classes that are generated from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from litert_networks import LitertNetwork, schema

from accelsim.workload.tflite.file import read_tflite
from accelsim.workload.tflite.importer import import_quantized_tflite
from accelsim.workload.tflite.schema import ACTIVATIONS, ELEMENT_TYPES, OPERATORS, OPTIONS

#: Our name of an option -> the schema's, where it is not the same in capitals.
_NAMES = {"activation": "fusedActivationFunction", "bias_type": "quantizedBiasType", "dilation_w": "dilationWFactor",
          "dilation_h": "dilationHFactor", "filter_w": "filterWidth", "filter_h": "filterHeight"}


def numbers(kind: type) -> dict[str, int]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


def attribute(name: str) -> str:
    first, *rest = name.split("_")
    return _NAMES.get(name, first + "".join(part.capitalize() for part in rest))


def test_operators_and_element_types_have_the_schemas_numbers() -> None:
    assert {name: number for number, name in enumerate(OPERATORS)} == numbers(schema.BuiltinOperator)
    assert {kind.name.upper(): number for number, kind in enumerate(ELEMENT_TYPES)} == numbers(schema.TensorType)
    assert {name.upper() or "NONE": number for number, name in enumerate(ACTIVATIONS)} == (
        numbers(schema.ActivationFunctionType))


@pytest.mark.parametrize("op", OPTIONS)
def test_every_option_is_read_where_the_schema_writes_it(tmp_path: Path, op: str) -> None:
    _, fields = OPTIONS[op]
    expected = {name: True if kind == "bool" else 1.5 if kind == "float32" else 10 + place
                for place, (name, (_, kind, _)) in enumerate(fields.items())}
    model = LitertNetwork()
    x = model.tensor("x", (1, 4))
    y = model.tensor("y", (1, 4))
    model.operator(op, [x], [y], **{attribute(name): value for name, value in expected.items()})
    (operator,) = read_tflite(model.save(tmp_path / "m.tflite", [x], [y])).operators
    assert operator.op == op
    assert operator.options == expected


@pytest.mark.parametrize("op", OPTIONS)
def test_options_that_are_left_out_have_the_schemas_defaults(tmp_path: Path, op: str) -> None:
    model = LitertNetwork()
    x, y = model.tensor("x", (1, 4)), model.tensor("y", (1, 4))
    model.operator(op, [x], [y])
    options = model.graph.operators[0].builtinOptions
    expected = {name: getattr(options, attribute(name)) for name in OPTIONS[op][1]}
    model.graph.operators[0].builtinOptions, model.graph.operators[0].builtinOptionsType = None, 0
    (operator,) = read_tflite(model.save(tmp_path / "m.tflite", [x], [y])).operators
    assert operator.options == expected


def test_tensors_are_read_with_all_that_is_said_of_them(tmp_path: Path) -> None:
    model = LitertNetwork()
    x = model.tensor("ünicode", (1, 4), "uint8", scale=0.5, zero_point=7, signature=(-1, 4))
    w = model.tensor("w", (2, 4), "int8", scale=[0.25, 4.0], zero_point=[0, 1], data=np.arange(8).reshape(2, 4), dimension=0)
    y = model.tensor("", (1, 2), "int16")
    model.operator("FULLY_CONNECTED", [x, w, -1], [y])
    first, second, third = read_tflite(model.save(tmp_path / "m.tflite", [x], [y])).tensors
    assert (first.name, first.shape, first.signature, first.type.name) == ("ünicode", (1, 4), (-1, 4), "uint8")
    assert (first.scales.tolist(), first.zero_points.tolist(), first.data) == ([0.5], [7], None)
    assert (second.scales.tolist(), second.zero_points.tolist(), second.quantized_dimension) == ([0.25, 4.0], [0, 1], 0)
    assert second.data.tolist() == list(range(8))
    assert (third.name, third.type.bits, third.scales) == ("tensor_2", 16, None)


def test_operators_above_126_and_custom_ones_are_read_by_name(tmp_path: Path) -> None:
    model = LitertNetwork()
    x, y, z = (model.tensor(name, (1, 4)) for name in "xyz")
    model.operator("GELU", [x], [y])
    model.operator("CUSTOM", [y], [z], custom="MyFilter")
    assert [operator.op for operator in read_tflite(model.save(tmp_path / "m.tflite", [x], [z])).operators] == [
        "GELU", "MyFilter"]


def test_weights_behind_the_flatbuffer_are_found_by_their_offset(tmp_path: Path) -> None:
    model = LitertNetwork()
    x, y = model.tensor("x", (1, 4), scale=0.5), model.tensor("y", (1, 2), scale=9.0)
    weights = np.arange(8, dtype=np.int8).reshape(2, 4)
    w = model.tensor("w", (2, 4), scale=0.5, data=weights)
    model.operator("FULLY_CONNECTED", [x, w, -1], [y])
    buffer = model.model.buffers[1]
    # The offset is a number of fixed width: a first writing tells where the file ends.
    buffer.data, buffer.offset, buffer.size = None, 2**20, 8
    buffer.offset = len(model.content([x], [y]))
    path = model.save(tmp_path / "m.tflite", [x], [y])
    path.write_bytes(path.read_bytes() + weights.tobytes())
    assert import_quantized_tflite(path).layers["fully_connected_0"].kernel.weights[0].tolist() == weights.tolist()


def test_a_file_needs_no_package_to_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    model = LitertNetwork()
    x, y = model.tensor("x", (1, 4), scale=0.5), model.tensor("y", (1, 4), scale=0.5)
    model.operator("RELU", [x], [y])
    path = model.save(tmp_path / "m.tflite", [x], [y])
    imported = builtins.__import__

    def without_packages(name: str, *rest: object, **more: object) -> object:
        if name.split(".")[0] in ("flatbuffers", "ai_edge_litert", "tflite", "tensorflow"):
            raise ImportError(name)
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_packages)
    assert len(import_quantized_tflite(path).network.layers) == 1
