"""The layers whose accumulators a run watched, one by one and all together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from accelsim.results.network_result import NetworkResult
from accelsim.results.overflow import AccumulatorWidths, Overflows
from accelsim.results.width_trial import WidthTrial


@dataclass(frozen=True, slots=True)
class ObservedLayer:
    """A layer on the PE grid: widths, overflows, whether a bound rules these out, and trials of other widths."""

    name: str
    widths: AccumulatorWidths
    overflows: Overflows
    is_proven: bool
    trials: tuple[WidthTrial, ...] = ()

    def trial(self, bits: int) -> WidthTrial | None:
        """What accumulators of this width would give; None if that is unknown.

        A width that was not tried is known where it holds every running sum: nothing can go wrong there.
        """
        for trial in self.trials:
            if trial.bits == bits:
                return trial
        return WidthTrial(bits, outputs=self.overflows.outputs) if bits >= self.widths.running_bits else None


def observed_layers(result: NetworkResult) -> list[ObservedLayer]:
    """In the order of execution; layers off the grid have no accumulators and are left out."""
    return [
        ObservedLayer(layer.name, layer.values.widths, layer.values.overflows, layer.values.is_proven, layer.values.trials)
        for layer in result.layers
        if layer.values is not None and layer.values.widths is not None
    ]


def is_trial(layers: Sequence[ObservedLayer]) -> bool:
    """Whether other widths were tried beside the run; its own accumulators then were as wide as it takes, and the absence of
    overflows says nothing about the accelerator's."""
    return any(layer.trials for layer in layers)


def widths_of(layers: Sequence[ObservedLayer]) -> AccumulatorWidths:
    """What one width for all of at least one layer would have to be."""
    return reduce(AccumulatorWidths.joined, (layer.widths for layer in layers))


def overflows_of(layers: Sequence[ObservedLayer]) -> Overflows:
    """Counts of all of them; channels and folds belong to single layers and are left out."""
    by_place: Counter[str] = Counter()
    for layer in layers:
        by_place.update(layer.overflows.by_place)
    return Overflows(
        count=sum(layer.overflows.count for layer in layers),
        outputs_hit=sum(layer.overflows.outputs_hit for layer in layers),
        outputs=sum(layer.overflows.outputs for layer in layers),
        by_place=dict(sorted(by_place.items())),
    )


def tried_widths(layers: Sequence[ObservedLayer]) -> list[int]:
    """Every width that was tried in some layer, the widest first."""
    return sorted({trial.bits for layer in layers for trial in layer.trials}, reverse=True)


def trials_of(layers: Sequence[ObservedLayer], bits: int) -> WidthTrial | None:
    """What this width would give in all layers together; None if that is unknown for one of them."""
    trials = [layer.trial(bits) for layer in layers]
    known = [trial for trial in trials if trial is not None]
    return reduce(WidthTrial.joined, known) if len(known) == len(trials) and known else None
