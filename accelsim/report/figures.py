"""The catalogue of figures that a report shows."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.report.canvas import ImageFormat, render
from accelsim.report.energy_figure import draw_energy, draw_energy_by_component
from accelsim.report.latency_figure import draw_latency
from accelsim.report.report_figure import ReportFigure
from accelsim.report.roofline_figure import draw_roofline
from accelsim.report.utilization_figure import draw_utilization
from accelsim.report.value_figures import value_figures
from accelsim.results.network_result import NetworkResult

#: File name without suffix -> figure, in the order of the page.
FIGURES: Mapping[str, ReportFigure] = {
    "latency": ReportFigure(
        draw_latency,
        "Latency per layer",
        (
            "Cycles of every layer in the order of execution: what the executing unit worked, fill and "
            "drain of the pipeline included, and what it waited for."
        ),
    ),
    "roofline": ReportFigure(
        draw_roofline,
        "Roofline",
        (
            "Every layer of the PE grid as a point, larger the longer it takes. Below the slope DRAM "
            "bandwidth is the limit, below the level line the number of multipliers; the distance to the line is "
            "what is lost."
        ),
    ),
    "utilization": ReportFigure(
        draw_utilization,
        "Utilization of the PE grid",
        (
            "MACs as a share of what the grid could do in the layer's time, and its two factors: how much "
            "of the grid has work while it works, and how much of the time it takes in new work."
        ),
    ),
    "energy": ReportFigure(draw_energy, "Energy per layer", "Energy of every layer by the component that spends it."),
    "energy_by_component": ReportFigure(
        draw_energy_by_component,
        "Energy by component",
        ("Energy of the whole run by the component that spends it."),
    ),
}


def render_figures(result: NetworkResult) -> dict[str, dict[ImageFormat, bytes]]:
    """Every figure of the catalogue as PNG and SVG, by name; then those of `value_figures` that apply."""
    return {
        name: render(lambda figure=figure: figure.draw(result), name=name)  # type: ignore[misc]
        for name, figure in {**FIGURES, **value_figures(result)}.items()
    }
