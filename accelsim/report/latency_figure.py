"""Where each layer's cycles go."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from accelsim.report.canvas import new_axes, scaled_axis, set_title
from accelsim.report.layer_bars import draw_stack, label_layers, width_for
from accelsim.report.palette import CYCLES
from accelsim.report.wording import cycles_label, title_of
from accelsim.results.network_result import NetworkResult
from accelsim.results.stalls import STALL_CAUSES
from accelsim.units import format_scaled, format_time


def draw_latency(result: NetworkResult) -> Figure:
    """Stacked bars: compute cycles and stalls by cause of every layer; cycles on the left, time on the
    right."""
    title = title_of("Latency per layer", network=result.network, accelerator=result.accelerator)
    figure, axes = new_axes(width=width_for(len(result.layers)), height=5.4)
    series: dict[str, list[float]] = {"compute": [float(layer.compute_cycles) for layer in result.layers]}
    series |= {cause: [float(layer.stall_cycles.get(cause, 0)) for layer in result.layers] for cause in STALL_CAUSES}
    draw_stack(axes, series, CYCLES, {cause: cycles_label(cause) for cause in series})
    label_layers(axes, [layer.name for layer in result.layers])
    axes.set_ylabel("clock cycles")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_scaled(value, "").strip()))
    clock_hz = result.accelerator.clock_hz
    times = scaled_axis(axes, factor=1e6 / clock_hz)
    times.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_time(value)))
    times.set_ylabel(f"time at {format_scaled(clock_hz, 'Hz')}")
    set_title(axes, title)
    return figure
