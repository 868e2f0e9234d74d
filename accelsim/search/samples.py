"""Samples of a search: inputs in batches, and their labels where they have some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.labelled_set import LabelledSet

Batch = Mapping[str, NDArray[Any]]


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
        WorkloadError : what `LabelledSet` refuses.
        """
        pairs = list(LabelledSet(path, model))
        labels = [found for _, found in pairs if found is not None]
        return cls(tuple(batch for batch, _ in pairs), np.concatenate(labels) if labels else None, str(path),
                   not model.is_batch_open)

    @property
    def count(self) -> int:
        """Samples."""
        return sum(len(next(iter(batch.values()))) for batch in self.batches)

    def check_labels(self, classes: int) -> None:
        """Refuse labels that the network has no class for.

        Raises
        ------
        WorkloadError : the largest one.
        """
        if self.labels is not None and self.labels.size and self.labels.max() >= classes:
            raise WorkloadError(f"expected labels from 0 to {classes - 1}, the classes of the network, got "
                                f"{self.labels.max()}", file=self.file or None, field="label")

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All inputs, the samples in front; of a model with a batch of its own, whole batches."""
        join = np.stack if self.has_fixed_batch else np.concatenate
        return {name: join([batch[name] for batch in self.batches]) for name in self.batches[0]}
