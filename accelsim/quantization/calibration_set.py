"""Samples that a network is calibrated on: an ``.npz`` file, a folder of ``.npy`` or ``.npz`` files, arrays, or an iterable.

Batches come one by one and are forgotten; a set may be read several times, as range setters ask. Only an ``.npz`` is in
memory as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.quantization.float_model import FloatModel
from accelsim.workload.input_values import load_arrays
from accelsim.workload.onnx.graph import GraphInput
from accelsim.workload.onnx.tensor_data import type_name

#: One run's inputs by the model's names.
Batch = dict[str, NDArray[Any]]

#: What a set can be made of. A function makes a new iterator each time that the set is read.
Source = str | Path | Mapping[str, NDArray[Any]] | Iterable[Any] | Callable[[], Iterator[Any]]

#: The key under which the one input of a model may stand, whatever the model calls it.
_ANY_INPUT = "x"

# Samples that run at once where the batch is open: so many that all tensors together stay near 64 MB, but few.
_ELEMENTS_AT_ONCE = 2**24
_MOST_AT_ONCE = 16

# Source: onnx.proto3, TensorProto.DataType: float.
_FLOAT = 1


class CalibrationSet:
    """Batches in the shape in which a network takes them.

    Parameters
    ----------
    source : the samples. An array has the input's shape, or one dimension more, or its first dimension counts samples;
        where the batch is open, one sample may come without it. A folder's files are read in the order of their names; items
        of an iterable are dictionaries by input name, or arrays where the network has one input.
    model : the network.
    file : that messages name, of arrays that were read from one.

    Raises
    ------
    WorkloadError : here, or when the set is read: no such file, no sample, arrays of other names, shapes or types, NaN, as
        many samples of one input as of another; an iterator that is asked for a second time.

    Examples
    --------
    >>> from accelsim.workload.onnx.graph import Node
    >>> model = FloatModel("net", (Node("Relu", "relu", ("x",), ("y",)),), {}, {"x": GraphInput((1, 2), 1)}, ("y",))
    >>> [batch["x"].tolist() for batch in CalibrationSet(np.array([[1, 2], [3, 4]]), model)]
    [[[1.0, 2.0]], [[3.0, 4.0]]]
    """

    def __init__(self, source: Source, model: FloatModel, *, file: str | None = None) -> None:
        self._model = model
        self._file = str(source) if isinstance(source, str | Path) else file
        self._items = self._opened(source)
        #: Batches of one reading; 0 before the first one is over.
        self.batches = 0

    def _opened(self, source: Source) -> Callable[[], Iterator[Any]]:
        if isinstance(source, str | Path):
            path = Path(source)
            if path.is_dir():
                files = sorted(each for each in path.iterdir() if each.suffix in (".npy", ".npz"))
                return lambda: map(load_arrays, files)
            arrays = load_arrays(path)
            return lambda: iter([arrays])
        if isinstance(source, Mapping | np.ndarray):
            return lambda: iter([source])
        if callable(source):
            return source
        iterator = iter(source)
        if iterator is not source:
            return lambda: iter(source)
        return _OneReading(iterator)

    def __iter__(self) -> Iterator[Batch]:
        count = 0
        for item in self._items():
            for batch in self._batches(item):
                count += 1
                yield batch
        if not count:
            raise WorkloadError("expected at least one sample to calibrate on, got none", file=self._file)
        self.batches = count

    def _batches(self, item: Any) -> Iterator[Batch]:
        """The batches in one array, dictionary or file."""
        arrays = item if isinstance(item, Mapping) else {_ANY_INPUT: item}
        samples = {name: self._samples(name, known, arrays) for name, known in self._model.inputs.items()}
        counts = {name: len(array) for name, array in samples.items()}
        if len(set(counts.values())) > 1:
            found = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise WorkloadError(f"expected as many samples of every input, got {found}", file=self._file)
        at_once = self._samples_at_once
        for first in range(0, min(counts.values(), default=0), at_once or 1):
            if at_once:
                yield {name: array[first:first + at_once] for name, array in samples.items()}
            else:
                yield {name: array[first] for name, array in samples.items()}

    @property
    def _samples_at_once(self) -> int:
        """How many samples run together; 0 where the model fixes the batch, so that a sample is a whole batch."""
        if not all(_is_open(known) for known in self._model.inputs.values()):
            return 0
        elements = sum(prod(self._model.sizes.get(name, ())) for node in self._model.nodes for name in node.outputs)
        return max(1, min(_MOST_AT_ONCE, _ELEMENTS_AT_ONCE // max(elements, 1)))

    def _samples(self, name: str, known: GraphInput, arrays: Mapping[str, Any]) -> NDArray[Any]:
        """The samples of one input, stacked: (samples, ...), each with the model's batch dimension unless that is open."""
        array = self._typed(name, known, np.asarray(self._array(name, arrays)))
        shape = known.dimensions
        if shape is None:
            raise self._model.error("expected an input of a known shape", f'input "{name}"')
        inner = array.shape[1:]
        if _is_open(known) and _fits(inner, shape[1:]):
            return array
        if _is_open(known) and _fits(array.shape, shape[1:]):
            return array[None]
        if not _is_open(known):
            if _fits(array.shape, shape):
                return array[None]
            if _fits(inner, shape):
                return array
            if shape[:1] == (1,) and _fits(inner, shape[1:]):
                return array[:, None]
        stated = ", ".join(str(size or "?") for size in shape)
        more = f" or [{stated.partition(', ')[2]}]" if _is_open(known) else f", or [samples, {stated}]"
        raise WorkloadError(f"expected the shape [{stated}]{more}, got {list(array.shape)}", file=self._file, field=name)

    def _array(self, name: str, arrays: Mapping[str, Any]) -> Any:
        if name in arrays:
            return arrays[name]
        numeric = [key for key, array in arrays.items() if np.asarray(array).dtype.kind in "iufb" and np.ndim(array)]
        if len(self._model.inputs) == 1 and (_ANY_INPUT in arrays or len(numeric) == 1):
            return arrays[_ANY_INPUT if _ANY_INPUT in arrays else numeric[0]]
        raise WorkloadError(f"expected an array called {name}, got {', '.join(map(str, arrays)) or 'none'}", file=self._file)

    def _typed(self, name: str, known: GraphInput, array: NDArray[Any]) -> NDArray[Any]:
        """The numbers in the input's type."""
        from onnx import helper

        wanted = "iu" if known.element_type != _FLOAT else "iuf"
        if array.dtype.kind not in wanted:
            raise WorkloadError(f"expected numbers of type {type_name(known.element_type)}, got {array.dtype.name}",
                                file=self._file, field=name)
        with np.errstate(over="ignore"):
            typed = array.astype(helper.tensor_dtype_to_np_dtype(known.element_type), copy=False)
        if not np.all(np.isfinite(typed)):
            found = "one that float32 does not hold" if np.all(np.isfinite(array)) else "NaN or infinity"
            raise WorkloadError(f"expected finite numbers, got {found}", file=self._file, field=name)
        return typed


class _OneReading:
    """An iterator, which can be read once."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator: Iterator[Any] | None = iterator

    def __call__(self) -> Iterator[Any]:
        if self._iterator is None:
            raise WorkloadError("expected samples that can be read again (a list, or a function that makes the iterator), "
                                "got an iterator")
        found, self._iterator = self._iterator, None
        return found


def _is_open(known: GraphInput) -> bool:
    """Whether an input takes any number of samples."""
    return known.dimensions is not None and not all(isinstance(size, int) for size in known.dimensions[:1])


def _fits(shape: tuple[int, ...], stated: tuple[int | str, ...]) -> bool:
    """Whether an array has the sizes that are known."""
    return len(shape) == len(stated) and all(isinstance(wanted, str) or size == wanted
                                             for size, wanted in zip(shape, stated, strict=True))
