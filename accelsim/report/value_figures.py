"""The catalogue of figures that show what the integers of a run did."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.report.observed_layers import observed_layers, tried_widths
from accelsim.report.overflow_figure import draw_overflow
from accelsim.report.report_figure import ReportFigure
from accelsim.report.width_trials_figure import draw_overflow_by_width
from accelsim.report.widths_figure import draw_accumulator_widths
from accelsim.results.network_result import NetworkResult

#: File name without suffix -> figure, in the order of the page.
VALUE_FIGURES: Mapping[str, ReportFigure] = {
    "accumulator_widths": ReportFigure(
        draw_accumulator_widths,
        "Accumulator widths",
        (
            "The three widths of every layer on the PE grid, in the order of execution, against the accelerator's own: what "
            "stands above the line does not fit. Where accumulators wrap and the wires are as wide, only the last sums must."
        ),
    ),
    "overflow": ReportFigure(
        draw_overflow,
        "Overflow",
        (
            "Above, the share of each layer's outputs of which a partial sum left its register, on a logarithmic scale "
            "whose lowest line is none at all. Below, how many partial sums did, by register."
        ),
    ),
    "overflow_by_width": ReportFigure(
        draw_overflow_by_width,
        "Wrong outputs by accumulator width",
        (
            "What each layer would put out with accumulators and wires of another width, fed right inputs: the share of "
            "outputs that differ from those of accumulators that are wide enough. Overflowing sums may do no harm: "
            "wrapped ones can come back, and the clamp at the end hides others."
        ),
    ),
}


def value_figures(result: NetworkResult) -> dict[str, ReportFigure]:
    """Those that have something to show; none for a run without integers."""
    layers = observed_layers(result) if result.has_values else []
    has_content = {
        "accumulator_widths": bool(layers),
        "overflow": any(layer.overflows.count for layer in layers),
        "overflow_by_width": bool(tried_widths(layers)),
    }
    return {name: figure for name, figure in VALUE_FIGURES.items() if has_content[name]}
