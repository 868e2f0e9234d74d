"""Samples of a search: inputs in batches, and their labels where they have some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import SearchError
from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.float_model import FloatModel
from accelsim.workload.input_values import load_arrays

Batch = Mapping[str, NDArray[Any]]

#: Names under which a file may have the classes of its samples.
LABEL_NAMES = ("label", "labels", "target", "targets")


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs, and classes.

    Parameters
    ----------
    batches : inputs by the model's names.
    labels : (samples,), the classes; None where they are not known.
    file : for messages.
    has_fixed_batch : whether the model takes whole batches alone, so that each counts as one run.
    """

    batches: tuple[Batch, ...]
    labels: NDArray[np.int64] | None = None
    file: str = ""
    has_fixed_batch: bool = False

    @classmethod
    def load(cls, path: str | Path, model: FloatModel) -> Samples:
        """Of an ``.npz`` file by the model's input names, or a folder; a file may have `label` besides.

        Raises
        ------
        WorkloadError : what `CalibrationSet` refuses.
        SearchError : as many labels as samples are expected, whole numbers of at least 0.
        """
        path = Path(path)
        labels = None
        source: Any = path
        if path.is_file():
            arrays = dict(load_arrays(path))
            name = next((each for each in LABEL_NAMES if each in arrays and each not in model.inputs), None)
            if name is not None:
                labels = np.asarray(arrays.pop(name))
            source = arrays
        batches = tuple(dict(batch) for batch in CalibrationSet(source, model))
        made = cls(batches, None if labels is None else labels.reshape(-1).astype(np.int64), str(path),
                   not model.is_batch_open)
        if labels is not None and (
                labels.dtype.kind not in "iu" or len(labels.reshape(-1)) != made.count or labels.min() < 0):
            raise SearchError(f"expected {made.count} labels, whole numbers of at least 0, got {labels.dtype} of shape "
                              f"{list(labels.shape)}", file=str(path))
        return made

    @property
    def count(self) -> int:
        """Samples."""
        return sum(len(next(iter(batch.values()))) for batch in self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All inputs, the samples in front; of a model with a batch of its own, whole batches."""
        join = np.stack if self.has_fixed_batch else np.concatenate
        return {name: join([batch[name] for batch in self.batches]) for name in self.batches[0]}
