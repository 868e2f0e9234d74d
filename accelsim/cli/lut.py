"""``accelsim lut``: the latency table of a network on an accelerator."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accelsim.cli import options as given
from accelsim.cli.output import print_json, print_remark, print_table, print_text, progress_bar
from accelsim.cli.runs import ClusterOption, StoreOption, WorkersOption, opened_store, workers_of
from accelsim.errors import AccelsimError

if TYPE_CHECKING:
    from accelsim.hardware.accelerator import Accelerator
    from accelsim.lut.latency_table import LatencyTable
    from accelsim.workload.network import Network

_OPERANDS, _ACCUMULATORS = (1, 32), (8, 64)
_LIST = re.compile(r"[0-9]{1,3}(?:,[0-9]{1,3})*")


def lut(
    model: given.ModelArgument,
    accelerator: given.AcceleratorArgument = "edge_16x16",
    bits: Annotated[
        str, typer.Option("--bits", metavar="2,3,4,6,8", help="Widths of weights and inputs that are tried, each with each.")
    ] = "2,4,8",
    input_bits: Annotated[
        str | None,
        typer.Option("--input-bits", metavar="4,8", help="Widths of inputs, where they are not those of weights.",
                     show_default=False),
    ] = None,
    output_bits: Annotated[
        str | None,
        typer.Option("--output-bits", metavar="8", help="Widths of outputs; left out, those of inputs.", show_default=False),
    ] = None,
    accumulators: Annotated[
        str | None,
        typer.Option("--accumulators", metavar="16,24,32", help="Widths of accumulators; left out, the accelerator's own.",
                     show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the table there (.csv).", show_default=False)
    ] = None,
    haq: Annotated[
        Path | None,
        typer.Option("--haq", metavar="FILE", help="Write HAQ's array [layer, weight bits - 1, input bits - 1] of "
                     "milliseconds there (.npy).", show_default=False),
    ] = None,
    hawq: Annotated[
        Path | None,
        typer.Option("--hawq", metavar="FILE", help="Write HAWQ's lists latency_int4, ... of milliseconds there (.json).",
                     show_default=False),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--table", metavar="FILE", help="Read the table from there instead: a .csv made for this model and "
                     "this accelerator, HAQ's .npy or HAWQ's .json.", show_default=False),
    ] = None,
    explains: Annotated[
        bool, typer.Option("--explain", help="Say how far bit operations mislead, and which layers gain nothing from fewer "
                           "bits, and why.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write what --explain says there: page, figures, CSV.",
                     show_default=False),
    ] = None,
    is_json: given.JsonOption = False,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    store: StoreOption = None,
    batch: given.BatchOption = None,
    shapes: given.ShapeOption = None,
    parameters: given.SetOption = None,
    objective: given.ObjectiveOption = "latency",
    keeps_activations: given.KeepOption = False,
    prefetches_weights: given.PrefetchOption = False,
    is_strict: given.StrictOption = False,
) -> None:
    """Make the latency table of a network: what every layer costs at every choice of bits.

    Every layer is simulated by itself, equal ones once, and every run is remembered. --keep-activations and
    --prefetch-weights do not change the table, whose layers must be independent: they ask how much the network gains from
    them beyond its sum.
    """
    from accelsim.whole_file import check_file_writable, check_writable

    operands = _widths(bits, "--bits", _OPERANDS)
    inputs = operands if input_bits is None else _widths(input_bits, "--input-bits", _OPERANDS)
    outputs = None if output_bits is None else _widths(output_bits, "--output-bits", _OPERANDS)
    sums = None if accumulators is None else _widths(accumulators, "--accumulators", _ACCUMULATORS)
    reading = given.model_options(batch=batch, shapes=shapes, parameters=parameters, is_strict=is_strict)
    choices = given.mapping_options(objective=objective, keeps_activations=False, prefetches_weights=False)
    for path in (out, haq, hawq):
        if path is not None:
            check_file_writable(path)
    if report is not None:
        check_writable(report)

    from accelsim.hardware.loader import load_accelerator
    from accelsim.lut.table_builder import build_table

    network = reading.load(model, (8, 8))
    if table is not None:
        found = _read(table, network, accelerator)
    else:
        chip = load_accelerator(accelerator)
        with opened_store(store) as runs, progress_bar(network.name, shows_time_left=True) as told:
            found = build_table(network, chip, weight_bits=operands, input_bits=inputs, output_bits=outputs,
                                accumulator_bits=sums, options=choices, store=runs, workers=workers_of(workers, cluster),
                                told=told)
    _write(found, network, out, haq, hawq, report)
    if is_json:
        print_json(_document(found, explains))
        return
    _print(found, explains)
    if table is None and (keeps_activations or prefetches_weights):
        _print_gain(found, network, chip, objective, keeps_activations, prefetches_weights)
    if network.unsupported:
        operators = ", ".join(f"{name} x{count}" for name, count in network.unsupported.items())
        print_text(f"not simulated, and missing from every number: {operators}")


def _widths(text: str, option: str, limits: tuple[int, int]) -> list[int]:
    found = {int(part) for part in text.split(",")} if _LIST.fullmatch(text) else {0}
    if not limits[0] <= min(found) <= max(found) <= limits[1]:
        example = "2,4,8" if limits == _OPERANDS else "16,24,32"
        raise AccelsimError(f"expected widths from {limits[0]} to {limits[1]} such as {example}, got {text}", field=option)
    return sorted(found)


def _read(path: Path, network: Network, accelerator: str) -> LatencyTable:
    from accelsim.lut.haq_table import load_haq_table
    from accelsim.lut.hawq_latencies import load_hawq_latencies
    from accelsim.lut.latency_table import LatencyTable

    if path.suffix == ".npy":
        return load_haq_table(path, network)
    if path.suffix == ".json":
        return load_hawq_latencies(path, network)
    from accelsim.hardware.loader import load_accelerator

    found = LatencyTable.load(path)
    found.check(network=network, accelerator=load_accelerator(accelerator), file=str(path))
    return found


def _write(table: LatencyTable, network: Network, out: Path | None, haq: Path | None, hawq: Path | None,
           report: Path | None) -> None:
    if out is not None:
        table.save(out)
        print_remark(f"table: {out}, {len(table.costs):,} rows of {len(table.layers)} layers")
    output_bits = _widest_outputs(table)
    if haq is not None:
        from accelsim.lut.haq_table import save_haq_table

        save_haq_table(table, network, haq, output_bits=output_bits)
        print_remark(f"HAQ's array: {haq}, at {output_bits}-bit outputs")
    if hawq is not None:
        from accelsim.lut.hawq_latencies import save_hawq_latencies

        save_hawq_latencies(table, network, hawq, output_bits=output_bits)
        print_remark(f"HAWQ's lists: {hawq}, at {output_bits}-bit outputs")
    if report is not None:
        from accelsim.report.explain import write_explanation

        print_remark(f"report: {write_explanation(table, report)}")


def _widest_outputs(table: LatencyTable) -> int:
    """8 bits, or else the widest outputs of the table."""
    outputs = {bits.output_bits for _, bits in table.costs}
    return 8 if 8 in outputs else max(outputs)


def _document(table: LatencyTable, explains: bool) -> dict[str, Any]:
    from accelsim.lut.explanation import explain
    from accelsim.report.explain import explanation_document
    from accelsim.report.lut_table import table_document

    return table_document(table) | ({"explanation": explanation_document(explain(table))} if explains else {})


def _print(table: LatencyTable, explains: bool) -> None:
    from accelsim.report.explain import explanation_table, rounding_text, sentences
    from accelsim.report.lut_table import totals_table

    if not explains:
        print_table(lambda width: totals_table(table, width=width))
        if text := rounding_text(table):
            print_text(text)
        return
    from accelsim.lut.explanation import explain

    explanation = explain(table)
    print_table(lambda width: explanation_table(explanation, table, width=width))
    for sentence in sentences(explanation, table):
        print_text(sentence)


def _print_gain(table: LatencyTable, network: Network, chip: Accelerator, objective: str, keeps_activations: bool,
                prefetches_weights: bool) -> None:
    """The network as a whole against the sum of its rows, at the widest uniform bits."""
    from accelsim.lut.assignment import uniform
    from accelsim.report.lut_table import uniform_totals
    from accelsim.simulation import simulate

    totals = {bits: cost for bits, cost in uniform_totals(table).items()
              if bits.input_bits == bits.output_bits and bits.accumulator_bits is None}
    if not totals:
        return
    widest = max(totals, key=lambda bits: bits.sort_key)
    assert widest.weight_bits is not None, "totals are of layers on the grid"
    whole = simulate(chip, uniform(network, weight_bits=widest.weight_bits, activation_bits=widest.input_bits),
                     options=given.mapping_options(objective=objective, keeps_activations=keeps_activations,
                                                   prefetches_weights=prefetches_weights))
    cycles = totals[widest].cycles
    means = " and ".join(text for text, is_on in (("activations kept on chip", keeps_activations),
                                                  ("weights prefetched", prefetches_weights)) if is_on)
    print_text(f"At {widest} the table's rows add up to {cycles:,} cycles; with {means} the network takes "
               f"{whole.total_cycles:,}, {100 * (whole.total_cycles / cycles - 1):+.1f} %.")
