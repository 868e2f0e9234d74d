"""Where the energy goes: by layer, and by component of the chip."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from accelsim.report.canvas import new_axes, set_title
from accelsim.report.layer_bars import draw_stack, label_layers, width_for
from accelsim.report.palette import INK, component_colours
from accelsim.report.wording import component_label, energy_text, share_text, title_of
from accelsim.results.network_result import NetworkResult


def draw_energy(result: NetworkResult) -> Figure:
    """Stacked bars: energy of every layer by component."""
    title = title_of("Energy per layer", network=result.network, accelerator=result.accelerator)
    figure, axes = new_axes(width=width_for(len(result.layers)), height=5.4)
    unit = result.accelerator.energy.unit
    colours = component_colours(result.energy_pj)
    series = {part: [layer.energy_pj.get(part, 0.0) for layer in result.layers] for part in colours}
    draw_stack(axes, series, colours, {part: component_label(part) for part in colours})
    label_layers(axes, [layer.name for layer in result.layers])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: energy_text(value, unit=unit)))
    axes.set_ylabel("energy" if unit == "pJ" else f"energy (1 = one {unit})")
    set_title(axes, title, entry_width=1.3)
    return figure


def draw_energy_by_component(result: NetworkResult) -> Figure:
    """Level bars: energy of the whole run by component, the largest first, with its share."""
    title = title_of("Energy by component", network=result.network, accelerator=result.accelerator)
    unit = result.accelerator.energy.unit
    energy = dict(sorted(result.energy_pj.items(), key=lambda item: (-item[1], item[0])))
    figure, axes = new_axes(width=8.0, height=1.5 + 0.34 * max(1, len(energy)))
    colours = component_colours(energy)
    places = range(len(energy))
    axes.barh(places, list(energy.values()), color=[colours[part] for part in energy], height=0.7)
    axes.set_yticks(places, [component_label(part) for part in energy], fontsize=9)
    axes.invert_yaxis()
    for place, value in zip(places, energy.values(), strict=True):
        text = f"{energy_text(value, unit=unit)}  ({share_text(value, result.total_energy_pj)})"
        axes.annotate(text, (value, place), xytext=(5, 0), textcoords="offset points", va="center", color=INK)
    axes.set_xlim(0, max([*energy.values(), 0.0]) * 1.28 or 1.0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: energy_text(value, unit=unit)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.set_xlabel(f"energy of the whole run, {energy_text(result.total_energy_pj, unit=unit)} in all")
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    set_title(axes, title)
    return figure
