"""What must hold of every run, whatever the accelerator and the network: checked each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.layer_run import LayerRun
from accelsim.machine.layer_state import LayerState
from accelsim.mapping.program import Compute, LayerProgram, Load, Requantize, Store, VectorCompute
from accelsim.units import transfer_cycles


def check_layer(program: LayerProgram, state: LayerState, run: LayerRun) -> None:
    """Identity 1: compute plus stalls are all cycles. Identity 2: everything in the program happened once, every byte
    arrived, every buffer is empty at the end but for a kept output.

    These are our own invariants: an `AssertionError` is a bug of the simulator, never the user's.
    """
    assert run.compute_cycles + sum(run.stall_cycles.values()) == run.total_cycles, f"{run.layer}: cycles are missing"
    expected: Counter[str] = Counter()
    for step in program.steps:
        match step:
            case Load():
                expected[f"read {step.operand}"] += step.tile_bytes
            case Store():
                expected["written outputs"] += step.tile_bytes
            case Compute():
                expected["macs"] += step.macs
            case Requantize():
                expected["requantized"] += step.outputs
            case VectorCompute():
                expected["vector"] += step.operations
    counted = Counter({
        "macs": state.macs, "requantized": state.requantized_outputs, "vector": state.vector_operations,
        **{f"read {operand}": size for operand, size in state.dram_reads.items()},
        **{f"written {operand}": size for operand, size in state.dram_writes.items()}})
    assert +counted == +expected, f"{run.layer}: counted {counted}, the program has {expected}"
    kept = state.kept_output_bytes
    for operand, region in state.regions.items():
        left = kept if operand == "outputs" else 0
        assert region.used_bytes == left, f"{run.layer}: {region.used_bytes} B are left in the region of {operand}"


def check_lower_bounds(run: LayerRun, accelerator: Accelerator, *, bits: tuple[int, int] | None = None) -> None:
    """Identity 3, for layers that do not overlap others: no layer is faster than its MACs at the grid's peak, or than its
    bytes at the DRAM's bandwidth.

    Parameters
    ----------
    bits : (weight, input) widths for which the peak holds; the native ones if left out.
    """
    _check_bounds(run.layer, run.total_cycles, _least_cycles(run, accelerator, bits), run.counts.dram_bytes, accelerator)


def check_network_bounds(
    runs: tuple[LayerRun, ...], accelerator: Accelerator, *, bits: Sequence[tuple[int, int] | None] = ()
) -> None:
    """Identity 3 for a whole network whose layers overlap; `bits` are the widths of each layer."""
    widths = bits or [None] * len(runs)
    least = [_least_cycles(run, accelerator, own) for run, own in zip(runs, widths, strict=True)]
    _check_bounds("network", runs[-1].end_cycle - runs[0].start_cycle, sum(least, Fraction(0)),
                  sum(run.counts.dram_bytes for run in runs), accelerator)


def _least_cycles(run: LayerRun, accelerator: Accelerator, bits: tuple[int, int] | None) -> Fraction:
    weight_bits, input_bits = bits or accelerator.pe_grid.precision.native_bits
    return run.counts.macs / accelerator.pe_grid.peak_macs_per_cycle(weight_bits=weight_bits, input_bits=input_bits)


def _check_bounds(name: str, cycles: int, least: Fraction, dram_bytes: int, accelerator: Accelerator) -> None:
    minimum = transfer_cycles(transferred_bytes=dram_bytes, clock_hz=accelerator.clock_hz,
                              bytes_per_second=accelerator.dram.bandwidth_bytes_per_second)
    assert cycles >= least, f"{name}: faster than the grid's peak"
    assert cycles >= minimum, f"{name}: faster than the DRAM"
