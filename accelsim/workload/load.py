"""Any network by its file or its shipped name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import accelsim
from accelsim.errors import UnsupportedOperatorError, WorkloadError
from accelsim.problem import did_you_mean
from accelsim.workload.layer_list import load_layer_list
from accelsim.workload.network import Network
from accelsim.workload.onnx.importer import import_onnx
from accelsim.workload.onnx.values import import_quantized_onnx
from accelsim.workload.quantized_network import QuantizedNetwork
from accelsim.workload.tensor import Shape
from accelsim.workload.tflite.importer import import_quantized_tflite, import_tflite
from accelsim.workload.topology_csv import import_topology

_SUFFIXES = (".onnx", ".tflite", ".csv", ".yaml", ".yml")
_WIDEST_BITS = 32


def shipped_workloads() -> dict[str, Path]:
    """Names and files of the networks that come with accelsim, sorted by name."""
    package = Path(next(iter(accelsim.__path__)))
    for folder in (package / "shipped" / "workloads", package.parent / "workloads"):
        found = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
        if found:
            return found
    return {}


def load_network(
    model: str | Path,
    *,
    batch: int | None = None,
    shapes: Mapping[str, Shape] = MappingProxyType({}),
    weight_bits: int = 8,
    input_bits: int = 8,
    parameters: Mapping[str, int] = MappingProxyType({}),
    strict: bool = False,
) -> Network:
    """The network in a file (.onnx, .tflite, .csv of SCALE-Sim, .yaml layer list), or a shipped one by its name.

    Parameters
    ----------
    model : path or name.
    batch : images or sequences at once; for a layer list its parameter ``batch``.
    shapes : input name -> whole shape, for ONNX models with dynamic sizes.
    weight_bits, input_bits : widths of weights and activations for which the model states none.
    parameters : sizes of a layer list to change.
    strict : refuse a model with operators that are not simulated, instead of counting them in
        `Network.unsupported`.

    Raises
    ------
    WorkloadError : no such model, not a model, or options that do not go with it.
    UnsupportedOperatorError : with `strict`, names and counts of the operators.
    """
    for option, bits in (("weight_bits", weight_bits), ("input_bits", input_bits)):
        if not 1 <= bits <= _WIDEST_BITS:
            raise WorkloadError(f"expected 1 to {_WIDEST_BITS} bits, got {bits}", field=option)
    path = _path_of(model)
    suffix = path.suffix.lower()
    _check_options(path, suffix, batch, shapes, parameters)
    if suffix == ".onnx":
        network = import_onnx(
            path, batch=batch, shapes=shapes, weight_bits=weight_bits, input_bits=input_bits
        )
    elif suffix == ".tflite":
        network = import_tflite(path, batch=batch, weight_bits=weight_bits, input_bits=input_bits)
    elif suffix == ".csv":
        network = import_topology(path, batch=batch or 1, weight_bits=weight_bits, input_bits=input_bits)
    else:
        sizes = parameters if batch is None else {**parameters, "batch": batch}
        network = load_layer_list(path, sizes, weight_bits=weight_bits, input_bits=input_bits)
    if strict and network.unsupported:
        found = ", ".join(f"{name} x{count}" for name, count in network.unsupported.items())
        raise UnsupportedOperatorError(f"operators that accelsim does not simulate: {found}", file=str(path))
    return network


def load_quantized_network(
    model: str | Path, *, batch: int | None = None, shapes: Mapping[str, Shape] = MappingProxyType({})
) -> QuantizedNetwork:
    """The network in a quantized model, with its integers (.tflite, .onnx).

    Parameters
    ----------
    model : path.
    batch, shapes : as of `load_network`, for ONNX models.

    Raises
    ------
    WorkloadError : no such model, one without integers, or an operator that the machine does not execute.
    """
    path = _path_of(model)
    suffix = path.suffix.lower()
    _check_options(path, suffix, batch, shapes, {})
    if suffix == ".onnx":
        return import_quantized_onnx(path, batch=batch, shapes=shapes)
    if suffix == ".tflite":
        if batch is not None:
            raise WorkloadError(f"a TFLite model has the batch of its file, got {batch}", file=str(path))
        return import_quantized_tflite(path)
    raise WorkloadError(f"expected a quantized .onnx or .tflite model for a run with integers, got a {suffix} of shapes",
                        file=str(path))


def _path_of(model: str | Path) -> Path:
    path = Path(model)
    if path.suffix.lower() in _SUFFIXES:
        return path
    shipped = shipped_workloads()
    if str(model) in shipped:
        return shipped[str(model)]
    if path.exists():
        found = "a folder" if path.is_dir() else f'the suffix "{path.suffix}"'
        raise WorkloadError(f"expected a file of type {', '.join(_SUFFIXES)}, got {found}", file=str(path))
    hint = did_you_mean(str(model), shipped) or f"; shipped are {', '.join(shipped)}"
    raise WorkloadError(f'no file and no shipped workload is called "{model}"{hint}')


def _check_options(
    path: Path, suffix: str, batch: int | None, shapes: Mapping[str, Shape], parameters: Mapping[str, int]
) -> None:
    if batch is not None and batch < 1:
        raise WorkloadError(f"expected a batch of at least 1, got {batch}", file=str(path))
    if shapes and suffix != ".onnx":
        raise WorkloadError(f"shapes go with ONNX models alone, got {', '.join(shapes)}", file=str(path))
    if parameters and suffix in (".onnx", ".tflite", ".csv"):
        raise WorkloadError(
            f"parameters go with layer lists alone, got {', '.join(parameters)}", file=str(path)
        )
