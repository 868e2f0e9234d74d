"""Designs of a sweep: energy and area against time, and which of them no other one beats."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from accelsim.lut.sweep import Design, Sweep
from accelsim.report.canvas import new_axes, new_panels, set_title
from accelsim.report.label_placement import place_labels
from accelsim.report.palette import BLUE, GREY, MUTED
from accelsim.report.wording import energy_text, short_name
from accelsim.units import format_time

#: Designs of the front that are named, evenly picked; more would cover each other.
MOST_LABELS = 10

#: A range of this factor is drawn on a logarithmic scale.
_WIDE_RANGE = 8.0

#: Points across the mark of a design.
_SIZE = 6.5


def draw_pareto(sweep: Sweep) -> Figure:
    """A mark per design, filled where no other design is at least as good in time, energy and area and better in one; lines
    through those that are best by time and what the panel shows alone. Names of the values stand at the filled ones."""
    unit = sweep.header.energy_unit
    if sweep.has_area:
        figure, panels = new_panels(width=9.6, height=8.4, shares=(1.0, 1.0))
    else:
        figure, single = new_axes(width=9.6, height=5.6)
        panels = [single]
    _draw_panel(panels[0], sweep, _energy_pj)
    panels[0].set_ylabel("energy of one run")
    panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: energy_text(value, unit=unit)))
    if sweep.has_area:
        _draw_panel(panels[1], sweep, _area_um2)
        omitted = any(design.area_omitted for design in sweep.possible)
        panels[1].set_ylabel("area of the parts with a published one" if omitted else "area")
        panels[1].yaxis.set_major_formatter(FuncFormatter(lambda value, _: area_text(value)))
    panels[-1].set_xlabel("time of one run")
    panels[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_time(value)))
    set_title(panels[0], f"{short_name(sweep.header.network, longest=30)} on variations of "
                         f"{short_name(sweep.header.hardware, longest=30)}", entry_width=3.0)
    _name(figure, panels, sweep)
    return figure


def _energy_pj(design: Design) -> float:
    return 0.0 if design.total is None else design.total.energy_pj


def _area_um2(design: Design) -> float:
    return design.area_um2 or 0.0


def area_text(um2: float) -> str:
    """An area in mm2.

    >>> area_text(1_234_567.0), area_text(72_192.0)
    ('1.23 mm²', '0.0722 mm²')
    """
    return f"{um2 / 1e6:.3g} mm²"


def design_label(design: Design) -> str:
    """The values of a design.

    >>> design_label(Design((16, "51.2 GB/s", None)))
    '16 · 51.2 GB/s · none'
    """
    return " · ".join("none" if value is None else str(value) for value in design.values)


def _draw_panel(axes: Axes, sweep: Sweep, height: Callable[[Design], float]) -> None:
    front = sweep.front
    others = [design for design in sweep.possible if design not in front]
    names = ("best in time, energy and area" if sweep.has_area else "best in time and energy", "beaten by another design")
    steps = _best_steps(sweep.possible, height)
    axes.plot([design.latency_us for design in steps], [height(design) for design in steps], color=MUTED, linewidth=1.2,
              drawstyle="steps-post", label="least at most this time", zorder=1)
    for some, name, fill in ((others, names[1], "none"), (front, names[0], BLUE)):
        axes.plot([design.latency_us for design in some], [height(design) for design in some], "o", markersize=_SIZE,
                  markerfacecolor=fill, markeredgecolor=BLUE if fill == BLUE else GREY, markeredgewidth=1.2, label=name,
                  zorder=2)
    axes.grid(visible=True, axis="x")
    _scale(axes, "x", [design.latency_us for design in sweep.possible])
    _scale(axes, "y", [height(design) for design in sweep.possible])


def _best_steps(designs: Sequence[Design], height: Callable[[Design], float]) -> list[Design]:
    """Designs that need less than every faster one."""
    best: list[Design] = []
    for design in sorted(designs, key=lambda design: (design.latency_us, height(design))):
        if not best or height(design) < height(best[-1]):
            best.append(design)
    return best


def _scale(axes: Axes, which: str, values: Sequence[float]) -> None:
    """Logarithmic over a wide range, where 1, 2 and 5 of every power of ten have a tick."""
    low, high = min(values), max(values)
    axis = axes.xaxis if which == "x" else axes.yaxis
    set_limits = axes.set_xlim if which == "x" else axes.set_ylim
    if low <= 0 or high / low < _WIDE_RANGE:
        room = 0.14 * (high - low) or 0.1 * abs(high) or 1.0
        set_limits(max(0.0, low - room), high + room)
        axis.set_major_locator(MaxNLocator(nbins=7))
        return
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    room = (high / low) ** 0.1
    set_limits(low / room, high * room)
    ticks = [digit * 10.0**power for power in range(-12, 30) for digit in (1, 2, 5)
             if low / room <= digit * 10.0**power <= high * room]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _name(figure: Figure, panels: Sequence[Axes], sweep: Sweep) -> None:
    """The values of the best designs beside their marks, in every panel."""
    front = sweep.front
    stride = -(-len(front) // MOST_LABELS)
    for axes, height in zip(panels, (_energy_pj, _area_um2), strict=False):
        place_labels(figure, axes, texts=[],
                     points=[(design.latency_us, height(design), _SIZE / 2 + 1) for design in sweep.possible],
                     labels=[(design_label(design), design.latency_us, height(design)) for design in front[::stride]])
