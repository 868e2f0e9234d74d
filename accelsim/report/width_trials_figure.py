"""What narrower accumulators would cost each layer."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgba
from matplotlib.figure import Figure

from accelsim.report.canvas import new_axes, set_title
from accelsim.report.layer_bars import label_layers, mark_size, width_for
from accelsim.report.observed_layers import ObservedLayer, observed_layers, tried_widths
from accelsim.report.palette import BLUE, GROUND, MUTED, WRONG
from accelsim.report.wording import exact_share_text, title_of
from accelsim.results.network_result import NetworkResult
from accelsim.results.width_trial import WidthTrial

#: Layers whose cells have room for the share in figures.
MOST_NUMBERS = 14

#: Upper ends of the classes of shares; the last one is open.
_ENDS = (0.001, 0.01, 0.1, 0.5)
_NAMES = ("up to 0.1 %", "up to 1 %", "up to 10 %", "up to 50 %", "more than 50 %")

# Right outputs: a tint that follows light and dark ground, unlike the classes above, which are data.
_RIGHT = to_rgba(BLUE, 0.16)
_ON_LIGHT, _ON_DARK = "#201408", "#fffdf9"


def draw_overflow_by_width(result: NetworkResult) -> Figure:
    """A cell per layer and width of the accumulators, in the colour of the share of outputs that are wrong; a ring where
    partial sums overflow and the outputs are right all the same."""
    layers = observed_layers(result)
    widths = tried_widths(layers)
    figure, axes = new_axes(width=width_for(len(layers)), height=2.9 + 0.34 * max(3, len(widths)))
    trials = [[layer.trial(bits) for layer in layers] for bits in widths]
    _draw_cells(axes, trials)
    _mark_cells(axes, trials, layers)
    axes.set_yticks(range(len(widths)), [f"{bits} bits" for bits in widths])
    axes.set_ylim(len(widths) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    axes.set_ylabel("width of the accumulators")
    label_layers(axes, [layer.name for layer in layers])
    axes.set_xlabel(axes.get_xlabel().replace("layer", "layer on the PE grid", 1))
    title = title_of("Wrong outputs by accumulator width", network=result.network, accelerator=result.accelerator)
    set_title(axes, title, entry_width=1.5)
    return figure


def _draw_cells(axes: Axes, trials: Sequence[Sequence[WidthTrial | None]]) -> None:
    """Class 0 is right outputs; a width of which nothing is known stays empty."""
    classes = np.array([[-1 if trial is None else _class_of(trial) for trial in row] for row in trials])
    colours = ListedColormap([_RIGHT, *map(to_rgba, WRONG)])
    count = classes.shape[1]
    axes.pcolormesh(
        np.arange(count + 1) - 0.5,
        np.arange(len(trials) + 1) - 0.5,
        np.ma.masked_less(classes, 0),
        cmap=colours,
        norm=BoundaryNorm(np.arange(len(WRONG) + 2) - 0.5, len(WRONG) + 1),
        edgecolors=GROUND,
        linewidth=min(2.0, 60 / count),
    )
    for colour, name in [(_RIGHT, "none wrong"), *zip(WRONG, _NAMES, strict=True)]:
        axes.plot([], [], linestyle="none", marker="s", markersize=8.0, markeredgecolor="none", color=colour, label=name)


def _class_of(trial: WidthTrial) -> int:
    return 1 + bisect_left(_ENDS, trial.wrong_outputs / trial.outputs) if trial.wrong_outputs else 0


def _mark_cells(axes: Axes, trials: Sequence[Sequence[WidthTrial | None]], layers: Sequence[ObservedLayer]) -> None:
    """Rings, and numbers where there is room."""
    rings = [
        (place, row)
        for row, line in enumerate(trials)
        for place, trial in enumerate(line)
        if trial is not None and trial.events and not trial.wrong_outputs
    ]
    size = mark_size(len(layers), largest=5.0)
    if rings:
        places, rows = zip(*rings, strict=True)
        name = "none wrong, though sums overflow"
        axes.plot(places, rows, "o", ms=size, mfc="none", mec=MUTED, mew=size / 5, label=name)
    if len(layers) > MOST_NUMBERS:
        return
    for row, line in enumerate(trials):
        for place, trial in enumerate(line):
            if trial is None:
                axes.annotate("?", (place, row), ha="center", va="center", fontsize=8, color=MUTED)
            elif trial.wrong_outputs:
                colour = _ON_LIGHT if _class_of(trial) <= 3 else _ON_DARK
                text = exact_share_text(trial.wrong_outputs, trial.outputs)
                axes.annotate(text, (place, row), ha="center", va="center", fontsize=8, color=colour)
