"""One layer by itself on the accelerator: the run that a row of a table stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from accelsim.energy.layer_energy import layer_energy_pj
from accelsim.energy.traffic_energy import traffic_cost
from accelsim.hardware.accelerator import Accelerator
from accelsim.lut.layer_cost import LayerCost
from accelsim.lut.program_time import program_cycles
from accelsim.machine.controller import run_program
from accelsim.machine.identities import check_lower_bounds
from accelsim.machine.layer_run import LayerRun
from accelsim.mapping.fold_plan import step_cost
from accelsim.mapping.lowering import executed_macs, lower
from accelsim.mapping.mapper import Mapper
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.program import LayerProgram, Program
from accelsim.mapping.tiling import Tiling
from accelsim.simulation import simulate
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network


def run_layer(layer: Layer, accelerators: Sequence[Accelerator], options: MappingOptions) -> tuple[LayerCost, ...]:
    """What `simulate` gives for a network of this one layer, with residency and prefetch off.

    `simulate` proves the mapper's best few mappings by running them all, and the best of them once more. Here the
    recurrences of `accelsim.lut.program_time` find the same best one, and it alone runs.

    Parameters
    ----------
    accelerators : at least one; they differ in the width of their accumulators alone. It changes energies, and no cycle but
        those of a dynamic range, so where the mapper makes cycles small one run serves all.

    Raises
    ------
    MappingError : the layer fits nowhere, or its operands are wider than the PEs multiply.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> from accelsim.workload.load import load_network
    >>> chip, layer = load_accelerator("edge_16x16"), load_network("mlperf_tiny_autoencoder").layers[0]
    >>> (cost,) = run_layer(layer, [chip], MappingOptions())
    >>> cost.cycles == simulate(chip, Network("one", (layer,))).total_cycles
    True
    """
    if layer.has_dynamic_range:
        return tuple(_whole_run(layer, accelerator, options) for accelerator in accelerators)
    if options.objective != "latency":
        return tuple(_proved_run(layer, [accelerator], options)[0] for accelerator in accelerators)
    return _proved_run(layer, accelerators, options)


def _whole_run(layer: Layer, accelerator: Accelerator, options: MappingOptions) -> LayerCost:
    """A layer that runs as two: the sum of both."""
    halves = simulate(accelerator, Network("layer", (layer,), (layer.output.name,)), options=options).layers
    first = halves[0]
    compute, dram = (sum(getattr(half, name) for half in halves) for name in ("compute_cycles", "dram_cycles"))
    return LayerCost(
        cycles=sum(half.total_cycles for half in halves), energy_pj=sum(half.total_energy_pj for half in halves),
        dram_bytes=sum(half.counts.dram_bytes for half in halves), weight_bytes=_weight_bytes(layer),
        buffer_peak_bytes=max(sum(half.peak_buffer_bytes.values()) for half in halves),
        bound="memory" if dram > compute else "compute", macs=layer.macs, compute_cycles=compute,
        ideal_cycles=sum(half.ideal_cycles for half in halves), dram_cycles=dram,
        peak_macs_per_cycle=_peak(layer, accelerator), effective_weight_bits=first.executed_weight_bits,
        effective_input_bits=first.executed_input_bits)


def _peak(layer: Layer, accelerator: Accelerator) -> float:
    """MACs a cycle at best for a layer of this form."""
    grid = accelerator.pe_grid
    return float(grid.multipliers * step_cost(grid, lower(layer)).macs_per_cycle)


def _weight_bytes(layer: Layer) -> int:
    return 0 if layer.weights is None else layer.weights.bytes


def _proved_run(layer: Layer, accelerators: Sequence[Accelerator], options: MappingOptions) -> tuple[LayerCost, ...]:
    accelerator = accelerators[0]
    mapper = Mapper(accelerator, options, traffic_cost(accelerator), prove=lambda program: 0.0)  # proved below
    if layer.is_on_grid:
        mapper.check(layer)
        program, run = _best(mapper, layer)
    else:
        program = mapper.program(layer, None)
        run = _run(program, layer, accelerator)
    _check(layer, run, accelerator)
    return tuple(_cost(layer, program, run, own) for own in accelerators)


def _best(mapper: Mapper, layer: Layer) -> tuple[LayerProgram, LayerRun]:
    """The program of the first tiling that costs least, and its run on the machine.

    Where cycles decide they come from the recurrences, if these cover all programs; the machine must then agree on the best.
    """
    tilings, accelerator = mapper.best_tilings(layer), mapper.accelerator
    programs: dict[Tiling, LayerProgram] = {}
    if mapper.options.objective == "latency":
        times = [_cycles(mapper, layer, tiling, programs) for tiling in tilings]
        known = [cycles for cycles in times if cycles is not None]
        if len(known) == len(tilings):
            least = min(known)
            tiling = tilings[known.index(least)]
            program = programs.get(tiling) or mapper.program(layer, tiling)
            run = _run(program, layer, accelerator)
            assert run.total_cycles == least, f"{layer.name}: {run.total_cycles} cycles, not the {least} expected"
            return program, run
    every = [programs.get(tiling) or mapper.program(layer, tiling) for tiling in tilings]
    runs = [_run(program, layer, accelerator) for program in every]
    scores = [_score(program, run, accelerator, mapper.options) for program, run in zip(every, runs, strict=True)]
    best = scores.index(min(scores))
    return every[best], runs[best]


def _cycles(mapper: Mapper, layer: Layer, tiling: Tiling, programs: dict[Tiling, LayerProgram]) -> int | None:
    """Of a tiling by the recurrences. One with delayed stores is timed by the program without, where there is that one."""
    plain = replace(tiling, store_lag=0)
    if tiling.store_lag and plain in programs:
        return program_cycles(programs[plain], mapper.accelerator, delays_stores=True)
    programs[tiling] = mapper.program(layer, tiling)
    return program_cycles(programs[tiling], mapper.accelerator)


def _run(program: LayerProgram, layer: Layer, accelerator: Accelerator) -> LayerRun:
    """The machine's run, with the widths at which the PEs multiplied."""
    (run,), _ = run_program(accelerator, Program((program,)))
    precision = accelerator.pe_grid.precision
    own = (layer.weight_bits, layer.input_bits) if layer.is_on_grid else precision.native_bits
    executed = precision.executed_bits(weight_bits=own[0], input_bits=own[1])
    assert executed is not None, f"{layer.name}: the mapper let operands through that do not fit"
    return replace(run, counts=replace(run.counts, mac_weight_bits=executed[0], mac_input_bits=executed[1]))


def _energy_pj(program: LayerProgram, run: LayerRun, accelerator: Accelerator) -> float:
    return sum(layer_energy_pj(run.counts, accelerator, total_cycles=run.total_cycles,
                               quantization=program.quantization).values())


def _score(program: LayerProgram, run: LayerRun, accelerator: Accelerator, options: MappingOptions) -> float:
    """What the mapper makes small."""
    if options.objective == "latency":
        return run.total_cycles
    pj = _energy_pj(program, run, accelerator)
    return pj if options.objective == "energy" else pj * run.total_cycles


def _check(layer: Layer, run: LayerRun, accelerator: Accelerator) -> None:
    """Identities 2 and 3, as of every run: all MACs were executed, and nothing beats the hardware's peaks."""
    expected = executed_macs(layer, accelerator)
    assert run.counts.macs == expected, f"{layer.name}: {run.counts.macs} MACs were executed of {expected}"
    check_lower_bounds(run, accelerator, bits=(layer.weight_bits, layer.input_bits) if layer.is_on_grid else None)


def _cost(layer: Layer, program: LayerProgram, run: LayerRun, accelerator: Accelerator) -> LayerCost:
    on_grid = layer.is_on_grid
    return LayerCost(
        cycles=run.total_cycles, energy_pj=_energy_pj(program, run, accelerator), dram_bytes=run.counts.dram_bytes,
        weight_bytes=_weight_bytes(layer), buffer_peak_bytes=sum(run.peak_buffer_bytes.values()),
        bound="memory" if run.dram_cycles > run.compute_cycles else "compute", macs=layer.macs,
        compute_cycles=run.compute_cycles, ideal_cycles=run.ideal_cycles, dram_cycles=run.dram_cycles,
        peak_macs_per_cycle=_peak(layer, accelerator) if on_grid else 0.0,
        effective_weight_bits=run.counts.mac_weight_bits if on_grid else None,
        effective_input_bits=run.counts.mac_input_bits if on_grid else None)
