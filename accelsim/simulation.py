"""The one flow: a network on an accelerator becomes a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from numpy.typing import NDArray

from accelsim.energy.layer_energy import layer_energy_pj
from accelsim.energy.traffic_energy import traffic_cost
from accelsim.errors import NumericsError, WorkloadError
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.precision_integers import check_integers
from accelsim.machine.controller import run_program
from accelsim.machine.grid_times import Engine
from accelsim.machine.identities import check_lower_bounds, check_network_bounds
from accelsim.machine.layer_run import LayerRun
from accelsim.machine.sample_runs import FedOutputs, ToldOutput, run_samples
from accelsim.machine.stepped.stepped_times import Estimate, SteppedTimes
from accelsim.mapping.lowering import executed_macs
from accelsim.mapping.mapper import Mapper
from accelsim.mapping.network_mapping import map_network
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.program import LayerProgram, Program
from accelsim.mapping.range_pass import with_range_passes
from accelsim.results.counts import Counts
from accelsim.results.layer_result import LayerResult
from accelsim.results.layer_values import LayerValues
from accelsim.results.network_result import NetworkResult
from accelsim.version import __version__
from accelsim.workload.input_values import samples
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.quantized_network import QuantizedNetwork

#: Called as layers are mapped and then run: (done, all, name of the layer); `all` is twice the number of layers.
Progress = Callable[[int, int, str], None]

#: Whose requantization rule a run with integers follows.
Rounding = Literal["hardware", "model"]


def simulate(
    accelerator: Accelerator, network: Network | QuantizedNetwork, *, options: MappingOptions | None = None,
    records_timeline: bool = False, progress: Progress | None = None, inputs: Mapping[str, NDArray[Any]] | None = None,
    rounding: Rounding = "hardware", event_limit: int = 100, told: ToldOutput | None = None,
    fed: FedOutputs | None = None, trial_bits: Sequence[int] = (), engine: Engine = "tile",
    estimated: Callable[[Estimate], None] | None = None
) -> NetworkResult:
    """Map a network onto an accelerator, run it there cycle by cycle, and count what it cost.

    Parameters
    ----------
    options : of the mapping; the defaults if left out.
    records_timeline : also collect every unit's spans and every counter's samples (for `report.timeline`).
    progress : told after each layer is mapped, and again after it has run.
    inputs : arrays by the model's input names (`workload.input_values.samples`): the run carries their integers through the
        machine. The network must be quantized. Several samples run one after the other; no cycle depends on the integers.
    rounding : "hardware": the accelerator's requantizer's rule; "model": the rule of the model's own runtime.
    event_limit : overflow events that are kept whole, per layer; all are counted.
    told : of every layer's output, sample after sample: the number of the sample, the layer's name, the integers.
    trial_bits : accumulator widths to be tried beside the run: its own accumulators are then taken to be wide enough, and
        `LayerResult.values.trials` tells what each narrower width would have given.
    fed : of a sample's number, outputs by layer that the layer's readers get instead of its own.
    engine : "tile": closed forms time the PE grid; "stepped": every register of the grid, the accumulators and the
        requantizer is moved in every clock cycle, and with `inputs` computes the integers. Cycles and integers are the same;
        for small layers. With `trial_bits` the integers stay the tile engine's.
    estimated : with the stepped engine, told how long the run will take once the network is mapped.

    Returns
    -------
    Results of every layer. Times are whole cycles of the accelerator's clock.

    Raises
    ------
    MappingError : a layer that fits nowhere on this accelerator.
    WorkloadError : inputs that are not the model's, or inputs of a network without integers.
    NumericsError : integers that the rule, the accumulators (``overflow: error``) or the PEs' precision kind do not take.

    Examples
    --------
    >>> from accelsim import load_accelerator, load_network, simulate
    >>> result = simulate(load_accelerator("edge_16x16"), load_network("mlperf_tiny_dscnn"))
    >>> result.total_cycles > 0
    True
    """
    options = options or MappingOptions()
    quantized = network if isinstance(network, QuantizedNetwork) else None
    described = network.network if isinstance(network, QuantizedNetwork) else network
    _check_widths(trial_bits)
    given = samples(_with_integers(quantized, described), inputs) if inputs is not None else []
    count = len(described.layers)
    program = plan(accelerator, described, options=options, progress=progress)
    ran = None if progress is None else lambda done, name: progress(count + done, 2 * count, name)
    executed = with_range_passes(described, accelerator).layers
    times = SteppedTimes(accelerator, executed) if engine == "stepped" else None
    if times is not None and estimated is not None:
        estimated(times.estimate(program, samples=0 if trial_bits else len(given)))
    rule, carried = None, None
    if quantized is not None and given:
        check_integers(accelerator.pe_grid.precision, {layer.name: (quantized.layers[layer.name].kernel, layer.weight_bits)
                                                       for layer in described.layers})
        rule = quantized.rule if rounding == "model" else accelerator.rule
        carried = run_samples(accelerator, program, quantized, given, rule=rule, event_limit=event_limit, told=told, fed=fed,
                              trial_bits=trial_bits, records_timeline=records_timeline, progress=ran, times=times)
        runs, timeline = carried.runs, carried.timeline
    else:
        runs, timeline = run_program(accelerator, program, records_timeline=records_timeline, progress=ran, times=times)
    _check(accelerator, executed, runs, options)
    layers = tuple(_layer_result(layer, steps, run, accelerator, carried.values.get(layer.name) if carried else None)
                   for layer, steps, run in zip(executed, program.layers, runs, strict=True))
    return NetworkResult(
        network=described.name, accelerator=accelerator, network_fingerprint=described.fingerprint,
        options=options.to_text(), layers=layers, version=__version__, unsupported=dict(described.unsupported),
        timeline=timeline, rounding=rule.scheme if rule else "", outputs=carried.outputs if carried else {})


def _check_widths(widths: Sequence[int]) -> None:
    for bits in widths:
        if not 2 <= bits <= 64:
            raise NumericsError(f"expected widths of 2 to 64 bits, got {bits}", field="trial_bits")


def _with_integers(quantized: QuantizedNetwork | None, network: Network) -> QuantizedNetwork:
    if quantized is None:
        raise WorkloadError("expected a network with integers for a run with inputs, got shapes and widths alone",
                            field=network.name)
    return quantized


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
        counts = _counts(run, accelerator, layers[program.layer])
        pj = sum(layer_energy_pj(counts, accelerator, total_cycles=run.total_cycles,
                                 quantization=program.quantization).values())
        return pj if options.objective == "energy" else pj * run.total_cycles

    network = with_range_passes(network, accelerator)
    layers = {layer.name: layer for layer in network.layers}
    count = 2 * len(network.layers)
    return map_network(network, Mapper(accelerator, options, traffic_cost(accelerator), prove),
                       told=None if progress is None else lambda done, name: progress(done, count, name))


def _counts(run: LayerRun, accelerator: Accelerator, layer: Layer) -> Counts:
    """The machine's counts with the operand widths at which the PEs multiplied."""
    precision = accelerator.pe_grid.precision
    own = (layer.weight_bits, layer.input_bits) if layer.is_on_grid else precision.native_bits
    executed = precision.executed_bits(weight_bits=own[0], input_bits=own[1])
    assert executed is not None, f"{layer.name}: the mapper let operands through that do not fit"
    return replace(run.counts, mac_weight_bits=executed[0], mac_input_bits=executed[1])


def _layer_result(layer: Layer, program: LayerProgram, run: LayerRun, accelerator: Accelerator,
                  values: LayerValues | None) -> LayerResult:
    counts = _counts(run, accelerator, layer)
    return LayerResult(
        name=layer.name, kind=layer.kind, shape=layer.shape_text, unit=program.unit, mapping=program.mapping,
        weight_bits=layer.weight_bits, input_bits=layer.input_bits, output_bits=layer.output.bits,
        start_cycle=run.start_cycle, end_cycle=run.end_cycle, ideal_cycles=run.ideal_cycles,
        compute_cycles=run.compute_cycles, stall_cycles=run.stall_cycles, steps=len(program.steps),
        dram_cycles=run.dram_cycles, peak_buffer_bytes=run.peak_buffer_bytes, counts=counts,
        energy_pj=layer_energy_pj(counts, accelerator, total_cycles=run.total_cycles, quantization=program.quantization),
        quantization=program.quantization,
        peak_macs_per_cycle=_peak(accelerator, layer), values=values)


def _peak(accelerator: Accelerator, layer: Layer) -> float:
    """MACs a cycle at the layer's widths; of the native ones for a layer of the vector unit, which uses none."""
    if not layer.is_on_grid:
        return accelerator.peak_macs_per_cycle
    return accelerator.peak_macs_per_cycle_at(weight_bits=layer.weight_bits, input_bits=layer.input_bits)


def _check(accelerator: Accelerator, layers: tuple[Layer, ...], runs: tuple[LayerRun, ...], options: MappingOptions) -> None:
    """Identities 2 and 3: every MAC was executed, and nothing beats the hardware's peaks."""
    for layer, run in zip(layers, runs, strict=True):
        expected = executed_macs(layer, accelerator)
        assert run.counts.macs == expected, f"{layer.name}: {run.counts.macs} MACs were executed of {expected}"
    bits = [(layer.weight_bits, layer.input_bits) if layer.is_on_grid else None for layer in layers]
    if options.keeps_activations or options.prefetches_weights:
        check_network_bounds(runs, accelerator, bits=bits)
        return
    for run, widths in zip(runs, bits, strict=True):
        check_lower_bounds(run, accelerator, bits=widths)
