"""What the integers of a layer did in a run that carried them."""

from __future__ import annotations

from dataclasses import dataclass, field

from accelsim.results.overflow import AccumulatorWidths, Overflows
from accelsim.results.width_trial import WidthTrial


@dataclass(frozen=True, slots=True)
class LayerValues:
    """Observed values of one layer, over all samples of the run.

    Parameters
    ----------
    widths : of its accumulators; None for layers off the PE grid.
    overflows : of its registers; none for layers off the PE grid.
    is_proven : whether a bound showed beforehand that nothing can overflow.
    trials : what narrower accumulators would have given, where that was asked for; the widest first.
    """

    widths: AccumulatorWidths | None = None
    overflows: Overflows = field(default_factory=Overflows)
    is_proven: bool = True
    trials: tuple[WidthTrial, ...] = ()

    def joined(self, later: LayerValues, *, sample: int, limit: int) -> LayerValues:
        """These and those of a later sample; `limit` overflow events stay whole."""
        widths = self.widths.joined(later.widths) if self.widths is not None and later.widths is not None else None
        return LayerValues(widths, self.overflows.joined(later.overflows, sample=sample, limit=limit),
                           self.is_proven and later.is_proven,
                           tuple(mine.joined(other) for mine, other in zip(self.trials, later.trials, strict=True)))
