"""The rooms stand in an order, and a file imports only from its own room and from rooms before it."""

import ast
from pathlib import Path

import pytest

import accelsim

PACKAGE = Path(accelsim.__file__).parent

#: From the ground up. Single files are rooms of their own.
ROOMS = ["errors", "units", "version", "problem", "source_file", "whole_file", "yaml_tree", "numerics", "hardware",
         "workload", "results", "mapping", "energy", "machine", "rtl", "simulation", "reference", "quantization", "lut",
         "search", "training", "report", "cli", "__main__"]


def room_of(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_from_rooms_before_its_own(path):
    own = room_of(path)
    assert own in ROOMS, f"{own} has no place in the order of the rooms"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("accelsim."):
                room = name.split(".")[1]
                assert ROOMS.index(room) <= ROOMS.index(own), f"{own} imports from {room}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_small_and_says_what_it_is(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), "a module begins with what it is"


def test_nobody_but_the_command_line_prints():
    for path in FILES:
        if room_of(path) == "cli":
            continue
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        assert not any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls), path


def test_the_public_names_are_these():
    assert accelsim.__all__ == [
        "Accelerator", "AccelsimError", "BitPolicy", "FloatModel", "Layer", "LayerResult", "MappingOptions", "Network",
        "NetworkResult", "QuantizedModel", "QuantizedNetwork", "Tensor", "__version__", "load_accelerator",
        "load_bit_policy", "load_network", "load_quantized_network", "load_recipe", "plan", "preset_names", "quantize",
        "shipped_workloads", "simulate", "with_changes", "write_report"]
    for name in accelsim.__all__:
        assert getattr(accelsim, name) is not None
