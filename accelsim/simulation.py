"""The one flow: a network on an accelerator becomes a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from accelsim.energy.layer_energy import layer_energy_pj
from accelsim.energy.traffic_energy import traffic_cost
from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.controller import run_program
from accelsim.machine.identities import check_lower_bounds, check_network_bounds
from accelsim.machine.layer_run import LayerRun
from accelsim.mapping.mapper import Mapper
from accelsim.mapping.network_mapping import map_network
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.program import LayerProgram, Program
from accelsim.results.counts import Counts
from accelsim.results.layer_result import LayerResult
from accelsim.results.network_result import NetworkResult
from accelsim.version import __version__
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network

#: Called as layers are mapped and then run: (done, all, name of the layer); `all` is twice the number of layers.
Progress = Callable[[int, int, str], None]


def simulate(
    accelerator: Accelerator, network: Network, *, options: MappingOptions | None = None,
    records_timeline: bool = False, progress: Progress | None = None
) -> NetworkResult:
    """Map a network onto an accelerator, run it there cycle by cycle, and count what it cost.

    Parameters
    ----------
    options : of the mapping; the defaults if left out.
    records_timeline : also collect every unit's spans and every counter's samples (for `report.timeline`).
    progress : told after each layer is mapped, and again after it has run.

    Returns
    -------
    Results of every layer. Times are whole cycles of the accelerator's clock.

    Raises
    ------
    MappingError : a layer that fits nowhere on this accelerator.

    Examples
    --------
    >>> from accelsim import load_accelerator, load_network, simulate
    >>> result = simulate(load_accelerator("edge_16x16"), load_network("mlperf_tiny_dscnn"))
    >>> result.total_cycles > 0
    True
    """
    options = options or MappingOptions()
    count = len(network.layers)
    program = plan(accelerator, network, options=options, progress=progress)
    runs, timeline = run_program(
        accelerator, program, records_timeline=records_timeline,
        progress=None if progress is None else lambda done, name: progress(count + done, 2 * count, name))
    for layer, run in zip(network.layers, runs, strict=True):
        assert run.counts.macs == layer.macs, f"{layer.name}: {run.counts.macs} MACs were executed of {layer.macs}"
    _check_bounds(accelerator, runs, options)
    layers = tuple(_layer_result(layer, steps, run, accelerator)
                   for layer, steps, run in zip(network.layers, program.layers, runs, strict=True))
    return NetworkResult(
        network=network.name, accelerator=accelerator, network_fingerprint=network.fingerprint, options=options.to_text(),
        layers=layers, version=__version__, unsupported=dict(network.unsupported), timeline=timeline)


def plan(
    accelerator: Accelerator, network: Network, *, options: MappingOptions | None = None, progress: Progress | None = None
) -> Program:
    """The program that `simulate` would run; ``print(plan(...))`` shows every step.

    Raises
    ------
    MappingError : a layer that fits nowhere on this accelerator.
    """
    options = options or MappingOptions()

    def prove(program: LayerProgram) -> float:
        (run,), _ = run_program(accelerator, Program((program,)))
        if options.objective == "latency":
            return run.total_cycles
        pj = sum(layer_energy_pj(_counts(run, accelerator), accelerator, total_cycles=run.total_cycles).values())
        return pj if options.objective == "energy" else pj * run.total_cycles

    count = 2 * len(network.layers)
    return map_network(network, Mapper(accelerator, options, traffic_cost(accelerator), prove),
                       told=None if progress is None else lambda done, name: progress(done, count, name))


def _counts(run: LayerRun, accelerator: Accelerator, layer: Layer | None = None) -> Counts:
    """The machine's counts with the operand widths at which the PEs multiplied."""
    precision = accelerator.pe_grid.precision
    widths = (precision.weight_bits, precision.input_bits)
    if layer is not None and layer.is_on_grid:
        widths = precision.executed_bits(weight_bits=layer.weight_bits, input_bits=layer.input_bits) or widths
    return replace(run.counts, mac_weight_bits=widths[0], mac_input_bits=widths[1])


def _layer_result(layer: Layer, program: LayerProgram, run: LayerRun, accelerator: Accelerator) -> LayerResult:
    counts = _counts(run, accelerator, layer)
    return LayerResult(
        name=layer.name, kind=layer.kind, shape=layer.shape_text, unit=program.unit, mapping=program.mapping,
        weight_bits=layer.weight_bits, input_bits=layer.input_bits, output_bits=layer.output.bits,
        start_cycle=run.start_cycle, end_cycle=run.end_cycle, ideal_cycles=run.ideal_cycles,
        compute_cycles=run.compute_cycles, stall_cycles=run.stall_cycles, steps=len(program.steps),
        dram_cycles=run.dram_cycles, peak_buffer_bytes=run.peak_buffer_bytes, counts=counts,
        energy_pj=layer_energy_pj(counts, accelerator, total_cycles=run.total_cycles),
        peak_macs_per_cycle=accelerator.peak_macs_per_cycle)


def _check_bounds(
    accelerator: Accelerator, runs: tuple[LayerRun, ...], options: MappingOptions
) -> None:
    """Identity 3: nothing beats the hardware's peaks."""
    if options.keeps_activations or options.prefetches_weights:
        check_network_bounds(runs, accelerator)
        return
    for run in runs:
        check_lower_bounds(run, accelerator)
