"""What measures of sensitivity have in common: the network at every width, the samples, and what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.quantization.switched_session import SwitchedSession
from accelsim.search.operand import Operand
from accelsim.search.samples import Samples
from accelsim.search.solution import Told
from accelsim.search.width_models import WidthModels

#: What each width of each operand costs.
WidthCosts = dict[Operand, dict[int, float]]


@dataclass(frozen=True, eq=False)
class Measurement:
    """The ground on which sensitivities are measured.

    Parameters
    ----------
    models : the network at every width.
    asked : widths by operand: of weights and activations.
    samples : inputs, and labels where they are known.
    told : for a progress bar.
    """

    models: WidthModels
    asked: Mapping[Operand, tuple[int, ...]]
    samples: Samples
    told: Told | None = None

    @cached_property
    def session(self) -> SwitchedSession:
        """One session for all runs."""
        return SwitchedSession(self.models.model, self.models.placement)

    @cached_property
    def logits(self) -> list[NDArray[np.float64]]:
        """Of the float network, batch after batch: (samples, classes)."""
        return [self.logits_of(batch) for batch in self.samples]

    def logits_of(self, batch: Mapping[str, NDArray[Any]], *, weights: Mapping[str, NDArray[Any]] | None = None,
                  grids: Mapping[str, QParams] | None = None) -> NDArray[np.float64]:
        """Of the network with some operands quantized, one row a sample (or a position, where there are several)."""
        outputs = self.session.run(batch, weights=weights, grids=grids)
        found = outputs[self.models.model.outputs[0]].astype(np.float64)
        has_positions = found.ndim > 2 and found.shape[-1] > 1
        rows = found.reshape(-1, found.shape[-1]) if has_positions else found.reshape(len(found), -1)
        return np.log(np.maximum(rows, 1e-300)) if self._ends_in_softmax else rows

    @cached_property
    def _ends_in_softmax(self) -> bool:
        """Whether outputs are probabilities, whose logarithms are logits."""
        writer = self.models.model.writer(self.models.model.outputs[0])
        return writer is not None and writer.op == "Softmax"

    @cached_property
    def classes(self) -> list[NDArray[np.int64]]:
        """Of each batch: the labels; where there are none, what the float network says.

        Raises
        ------
        WorkloadError : a label that the network has no class for.
        """
        if self.samples.labels is None or len(self.samples.labels) != sum(map(len, self.logits)):
            return [np.argmax(rows, axis=1) for rows in self.logits]
        self.samples.check_labels(self.logits[0].shape[1])
        ends = np.cumsum([len(rows) for rows in self.logits])[:-1]
        return list(np.split(self.samples.labels, ends))

    def widths(self) -> Iterator[tuple[Operand, int]]:
        """Every operand at every width that is asked for; the progress bar moves with it."""
        pairs = [(operand, bits) for operand, widths in self.asked.items() for bits in widths]
        for done, (operand, bits) in enumerate(pairs):
            if self.told is not None:
                self.told(done, len(pairs), str(operand))
            yield operand, bits

    def one_quantized(self, measure: Callable[[list[NDArray[np.float64]]], float]) -> WidthCosts:
        """A measure of the outputs with one operand quantized and all others in floating point."""
        found: WidthCosts = {}
        for operand, bits in self.widths():
            given: dict[str, Any]
            if operand.kind == "weights":
                given = {"weights": {operand.name: self.models.weights(operand.name, bits)}}
            else:
                given = {"grids": {operand.name: self.models.grid(operand.name, bits)}}
            outputs = [self.logits_of(batch, **given) for batch in self.samples]
            found.setdefault(operand, {})[bits] = measure(outputs)
        return found
