"""What zero points and scales cost, in plain sentences: nothing is said of symmetric weights with one scale a channel."""

from __future__ import annotations

from accelsim.hardware.precision_codebook import CodebookPrecision
from accelsim.mapping.range_pass import PASS_SUFFIX
from accelsim.report.wording import share_text
from accelsim.results.network_result import NetworkResult
from accelsim.units import format_size


def quantization_findings(result: NetworkResult) -> list[str]:
    """A sentence each on asymmetric weights, several scales a channel, output scales that are found during the run, and
    weights that come as indices of a table."""
    sentences = (_asymmetric(result), _scale_groups(result), _dynamic(result), _codebook(result))
    return [sentence for sentence in sentences if sentence]


def _asymmetric(result: NetworkResult) -> str:
    layers = [layer for layer in result.layers if layer.quantization.corrected_sums]
    if not layers:
        return ""
    macs = sum(layer.quantization.sum_macs for layer in layers)
    additions = sum(layer.quantization.row_sum_additions for layer in layers)
    corrected = sum(layer.quantization.corrected_sums for layer in layers)
    executed = sum(layer.counts.macs for layer in result.layers)
    sums = (f"{macs:,} MACs on the grid, {share_text(macs, executed)} of all, sum their inputs" if macs
            else f"{additions:,} additions beside the grid sum their inputs")
    return (f"Weights with a zero point ({_count(len(layers))}) cost extra work: {sums}, and the requantizer corrects "
            f"{corrected:,} accumulators by z_w times such a sum.")


def _scale_groups(result: NetworkResult) -> str:
    layers = [layer for layer in result.layers if layer.quantization.rescaled_sums]
    if not layers:
        return ""
    rescaled = sum(layer.quantization.rescaled_sums for layer in layers)
    return (f"Several weight scales a channel ({_count(len(layers))}) send {rescaled:,} partial sums through the "
            "requantizer before they are added.")


def _dynamic(result: NetworkResult) -> str:
    passes = [layer for layer in result.layers if layer.name.endswith(PASS_SUFFIX)]
    if not passes:
        return ""
    cycles = sum(layer.total_cycles for layer in passes)
    return (f"Output scales that are found during the run ({_count(len(passes))}) cost a second pass over the accumulators: "
            f"{cycles:,} cycles, {share_text(cycles, result.total_cycles)} of the time.")


def _codebook(result: NetworkResult) -> str:
    precision = result.accelerator.pe_grid.precision
    reads = sum(layer.quantization.codebook_reads for layer in result.layers)
    if not isinstance(precision, CodebookPrecision) or not reads:
        return ""
    entry = f"{precision.vector_length} × " if precision.vector_length > 1 else ""
    read = format_size(-(-reads * precision.vector_length * precision.entry_bits // 8))
    share = share_text(result.energy_pj["codebook"], result.total_energy_pj)
    return (f"Weights come as indices: {reads:,} reads of a table of {format_size(precision.table_bytes)}, each an entry of "
            f"{entry}{precision.entry_bits} bits, bring {read} into the grid for {share} of the energy.")


def _count(layers: int) -> str:
    return "1 layer" if layers == 1 else f"{layers} layers"
