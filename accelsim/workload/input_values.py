"""The numbers that a network is run on: arrays by name, checked against the model's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError, WorkloadError
from accelsim.workload.quantized_network import ModelInput, QuantizedNetwork

#: One sample: integers of the network's input tensors by name, each in the model's shape.
Sample = dict[str, NDArray[Any]]

#: The key under which the one input of a model may stand, whatever the model calls it.
_ANY_INPUT = "x"


def load_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file, or the one array of an ``.npy`` file under the key "x". Pickled objects are refused.

    Raises
    ------
    WorkloadError : no such file, or not one of numpy's.
    """
    path = Path(path)
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {_ANY_INPUT: found}
        with found:
            return {name: found[name] for name in found.files}
    except FileNotFoundError:
        raise WorkloadError("no such file", file=str(path)) from None
    except Exception as error:  # zipfile, zlib, struct, ValueError, ...: a damaged archive surfaces as any of them
        raise WorkloadError("expected an .npz or .npy file of plain arrays, got another file or a damaged one",
                            file=str(path)) from error


def samples(network: QuantizedNetwork, arrays: Mapping[str, NDArray[Any]], *, file: str | None = None) -> list[Sample]:
    """One sample per index of the arrays' leading dimension, or the one sample that they are.

    Parameters
    ----------
    arrays : by the model's input names; a model with one input also takes the key "x", or the only array there is.
        An array has the input's shape, or one dimension more, or its first dimension of 1 is the number of samples.
        Integers lie within the input's type; an input that the model itself quantizes takes real numbers.
    file : that they came from, for messages.

    Raises
    ------
    WorkloadError : a missing input, a wrong shape, numbers of another type or outside the input's range, NaN.
    """
    given = {item.name: _samples_of(item, _array_of(item, network, arrays, file), file) for item in network.inputs}
    counts = {name: len(values) for name, values in given.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise WorkloadError(f"expected as many samples of every input, got {found}", file=file)
    return [{item.tensor: given[item.name][i] for item in network.inputs} for i in range(next(iter(counts.values())))]


def _array_of(item: ModelInput, network: QuantizedNetwork, arrays: Mapping[str, NDArray[Any]],
              file: str | None) -> NDArray[Any]:
    if item.name in arrays:
        return arrays[item.name]
    numeric = [name for name, array in arrays.items() if array.dtype.kind in "iuf" and array.ndim]
    if len(network.inputs) == 1 and (_ANY_INPUT in arrays or len(numeric) == 1):
        return arrays[_ANY_INPUT if _ANY_INPUT in arrays else numeric[0]]
    raise WorkloadError(f"expected an array called {item.name}, got {', '.join(arrays) or 'none'}", file=file)


def _samples_of(item: ModelInput, array: NDArray[Any], file: str | None) -> list[NDArray[Any]]:
    shape = item.shape
    if array.shape == shape:
        stacked = array[None]
    elif array.shape[1:] == shape:
        stacked = array
    elif shape[:1] == (1,) and array.shape[1:] == shape[1:]:
        stacked = array[:, None]
    else:
        raise WorkloadError(f"expected the shape {list(shape)}, or {['samples', *shape]}, got {list(array.shape)}".replace(
            "'samples'", "samples"), file=file, field=item.name)
    if not len(stacked):
        raise WorkloadError("expected at least one sample, got none", file=file, field=item.name)
    return list(_integers(item, stacked, file))


def _integers(item: ModelInput, array: NDArray[Any], file: str | None) -> NDArray[Any]:
    """The integers that the network reads."""
    qtype = item.qparams.qtype
    if item.is_float:
        if array.dtype.kind not in "iuf":
            raise WorkloadError(f"expected numbers, got {array.dtype.name}", file=file, field=item.name)
        if not np.all(np.isfinite(array)):
            raise WorkloadError("expected finite numbers, got NaN or infinity", file=file, field=item.name)
        try:
            return item.qparams.quantize(array.astype(np.float32), rounding=item.rounding)
        except NumericsError as error:
            raise WorkloadError(error.problem, file=file, field=item.name) from error
    if array.dtype.kind not in "iu":
        raise WorkloadError(f"expected integers ({qtype.name}), got {array.dtype.name}", file=file, field=item.name)
    if not qtype.holds(array):
        raise WorkloadError(f"expected {qtype.range_text} ({qtype.name}), got {array.min()}..{array.max()}", file=file,
                            field=item.name)
    return array.astype(qtype.dtype)
