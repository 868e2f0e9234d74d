"""Samples with their right answers: an ``.npz`` file, or arrays by name, with an array ``label`` (or ``labels``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.quantization.calibration_set import Batch, CalibrationSet, Source
from accelsim.quantization.float_model import FloatModel
from accelsim.workload.input_values import load_arrays

#: Names under which the classes may stand.
LABELS = ("label", "labels", "target", "targets")


class LabelledSet:
    """Batches with their classes; without an array of labels, batches alone.

    Parameters
    ----------
    source : as for `CalibrationSet`; a file or a mapping may have one class a sample besides, whole numbers from 0.
    model : the network.

    Raises
    ------
    WorkloadError : what `CalibrationSet` raises; labels that are not one whole number a sample.

    Examples
    --------
    >>> from accelsim.workload.onnx.graph import GraphInput, Node
    >>> model = FloatModel("net", (Node("Relu", "relu", ("x",), ("y",)),), {}, {"x": GraphInput(("N", 2), 1)}, ("y",))
    >>> held = LabelledSet({"x": np.array([[1, 2], [4, 3]], np.float32), "label": np.array([1, 0])}, model)
    >>> [(batch["x"].tolist(), labels.tolist()) for batch, labels in held]
    [([[1.0, 2.0], [4.0, 3.0]], [1, 0])]
    """

    def __init__(self, source: Source, model: FloatModel) -> None:
        file = str(source) if isinstance(source, str | Path) else None
        if file is not None and not Path(file).is_dir():
            source = load_arrays(file)
        labels = None
        if isinstance(source, Mapping):
            labels = next((source[name] for name in LABELS if name in source and name not in model.inputs), None)
            source = {name: array for name, array in source.items() if name in model.inputs or name not in LABELS}
        self._labels = None if labels is None else _checked(np.asarray(labels), file)
        self._file = file
        self._samples = CalibrationSet(source, model, file=file)

    @property
    def has_labels(self) -> bool:
        """Whether classes are known."""
        return self._labels is not None

    def __iter__(self) -> Iterator[tuple[Batch, NDArray[np.int64] | None]]:
        first = 0
        for batch in self._samples:
            count = len(next(iter(batch.values())))
            if self._labels is None:
                yield batch, None
                continue
            labels = self._labels[first:first + count]
            first += count
            if len(labels) == count:
                yield batch, labels
        if self._labels is not None and first != len(self._labels):
            raise WorkloadError(f"expected one label a sample, got {len(self._labels)} for {first} samples", file=self._file)


def _checked(labels: NDArray[Any], file: str | None) -> NDArray[np.int64]:
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
        raise WorkloadError(f"expected one whole number from 0 for each sample, got {labels.dtype.name} of shape "
                            f"{list(labels.shape)}", file=file, field="label")
    return labels.astype(np.int64)
