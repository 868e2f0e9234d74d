"""The colours of the moving grid: a hue for each operand vector, a tint for each fold."""

from __future__ import annotations

from collections.abc import Callable

from accelsim.report.palette import BLUE, GREEN, GROUND, INK, MUTED, ORANGE, PINK, PURPLE, RULE, SKY, VERMILLION
from accelsim.report.scene import Paint, SceneBuilder

#: Successive operand vectors: light, so that dark figures stand on them.
HUES = ("#8fc9f0", "#ffd27a", "#9ddfb0", "#eab8de", "#f7b58f", "#b9e3e0", "#c9bdf2", "#e6dd7e")

#: Successive folds.
FOLDS = (BLUE, ORANGE, GREEN, PURPLE, PINK, SKY)


def mixed(colour: str, other: str, share: float) -> str:
    """A colour with a share of another.

    >>> mixed("#000000", "#ffffff", 0.5)
    '#808080'
    """
    parts = [round(int(colour[i:i + 2], 16) * (1 - share) + int(other[i:i + 2], 16) * share) for i in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in parts)


class GridPaints:
    """Numbers of a scene's paints by what they mean; a fold or a step of -1 stands for none."""

    def __init__(self, builder: SceneBuilder) -> None:
        self._builder = builder
        self.idle_pe = self._of(Paint("#f6f7f9", RULE, MUTED))
        self.idle = self._of(Paint("", RULE, MUTED))
        self.flash = self._of(Paint("", VERMILLION, "", 3.5))
        self.alarm = self._of(Paint("", "", VERMILLION, 1, True))
        self.text = self._of(Paint("", "", INK))
        self.strong = self._of(Paint("", "", INK, 1, True))
        self.muted = self._of(Paint("", "", MUTED))
        self.full, self.empty = self._of(Paint(GREEN)), self._of(Paint(RULE))
        self.kept = self._of(Paint(GROUND, RULE, INK))
        self.reading = self._of(Paint("#fde9c4", ORANGE, INK))
        self.writing = self._of(Paint("#cdeee0", GREEN, INK, 1.2, True))
        self.shown = self._of(Paint("#eef2f7"))
        self._pes = self._by_fold(lambda colour: Paint(mixed(colour, GROUND, 0.86), mixed(colour, GROUND, 0.35), MUTED, 1.2))
        self._held = self._by_fold(lambda colour: Paint(GROUND, colour, INK, 1.8, True))
        self._next = self._by_fold(lambda colour: Paint(mixed(colour, GROUND, 0.86), mixed(colour, GROUND, 0.4), MUTED))
        self._load = self._by_fold(lambda colour: Paint(mixed(colour, GROUND, 0.55), colour, INK))
        self._chips = self._by_fold(lambda colour: Paint(mixed(colour, GROUND, 0.75), colour, INK))
        self._bars = self._by_fold(lambda colour: Paint(colour))
        self._tails = self._by_fold(lambda colour: Paint(mixed(colour, GROUND, 0.5)))
        self._tokens = [self._of(Paint(hue, mixed(hue, INK, 0.25), INK)) for hue in HUES]
        self._sums = [self._of(Paint(mixed(hue, GROUND, 0.45), mixed(hue, INK, 0.3), INK)) for hue in HUES]
        self._arrivals = [self._of(Paint(hue, mixed(hue, INK, 0.5), INK, 2.0, True)) for hue in HUES]
        self._drains = self._by_fold(lambda colour: Paint(mixed(colour, GROUND, 0.65), mixed(colour, INK, 0.2), INK))

    def _of(self, paint: Paint) -> int:
        return self._builder.paint(paint)

    def _by_fold(self, paint: Callable[[str], Paint]) -> list[int]:
        return [self._of(paint(colour)) for colour in FOLDS]

    def pe(self, fold: int) -> int:
        """A PE that works on a fold, or did last."""
        return self.idle_pe if fold < 0 else self._pes[fold % len(FOLDS)]

    def held(self, fold: int) -> int:
        return self._held[fold % len(FOLDS)]

    def next(self, fold: int) -> int:
        return self._next[fold % len(FOLDS)]

    def load(self, fold: int) -> int:
        return self._load[fold % len(FOLDS)]

    def drain(self, fold: int) -> int:
        return self._drains[fold % len(FOLDS)]

    def chip(self, fold: int) -> int:
        return self._chips[fold % len(FOLDS)]

    def bar(self, fold: int) -> int:
        return self._bars[fold % len(FOLDS)]

    def tail(self, fold: int) -> int:
        return self._tails[fold % len(FOLDS)]

    def token(self, step: int) -> int:
        """An operand of a step of the stream."""
        return self._tokens[step % len(HUES)]

    def sum(self, step: int) -> int:
        return self._sums[step % len(HUES)]

    def arrival(self, step: int) -> int:
        """An accumulator that gets a sum."""
        return self._arrivals[step % len(HUES)]
