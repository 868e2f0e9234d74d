"""``accelsim simulate``: a network on an accelerator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accelsim.cli import options as given
from accelsim.cli.integers import Differences, check_document, print_values, run_integers
from accelsim.cli.output import print_json, print_remark, print_table, print_text, progress_bar
from accelsim.errors import AccelsimError
from accelsim.results.network_result import NetworkResult

if TYPE_CHECKING:
    from accelsim.hardware.accelerator import Accelerator
    from accelsim.machine.stepped.stepped_times import Estimate
    from accelsim.workload.quantized_network import QuantizedNetwork


def simulate(
    model: given.ModelArgument,
    accelerator: given.AcceleratorArgument = "edge_16x16",
    out: given.OutOption = None,
    is_json: given.JsonOption = False,
    batch: given.BatchOption = None,
    shapes: given.ShapeOption = None,
    parameters: given.SetOption = None,
    bits: given.BitsOption = "8/8",
    objective: given.ObjectiveOption = "latency",
    keeps_activations: given.KeepOption = False,
    prefetches_weights: given.PrefetchOption = False,
    is_strict: given.StrictOption = False,
    inputs: given.InputsOption = None,
    rounding: given.RoundingOption = "hardware",
    engine: given.EngineOption = "tile",
    check: Annotated[
        str | None,
        typer.Option(
            "--check",
            metavar="litert|onnxruntime",
            help="With --inputs: compare every layer's integers with that runtime's.",
            show_default=False,
        ),
    ] = None,
    events: Annotated[
        int,
        typer.Option("--events", min=0, metavar="N", help="With --inputs: overflow events per layer that are told whole."),
    ] = 100,
    timeline: Annotated[
        Path | None,
        typer.Option(
            "--timeline",
            metavar="FILE",
            help="Write the run as a trace for ui.perfetto.dev.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int,
        typer.Option(
            "--top",
            min=0,
            metavar="N",
            help="Layers that the table shows, those with the most cycles; 0 shows all.",
        ),
    ] = 20,
) -> None:
    """Simulate a network on an accelerator: latency, energy and stalls of every layer."""
    from accelsim.whole_file import check_file_writable, check_writable

    widths = given.parse_bits(bits)
    rule = given.parse_rounding(rounding)
    timed_by = given.parse_engine(engine)
    reading = given.model_options(batch=batch, shapes=shapes, parameters=parameters, is_strict=is_strict)
    choices = given.mapping_options(
        objective=objective, keeps_activations=keeps_activations, prefetches_weights=prefetches_weights
    )
    if inputs is not None and bits != "8/8":
        raise AccelsimError("a model with integers has widths of its own", field="--bits")
    if check is not None and inputs is None:
        raise AccelsimError("expected --inputs for a comparison of integers, got none", field="--check")
    if check is not None and timed_by == "stepped":
        raise AccelsimError("expected --engine tile, which gives the same integers, got stepped", field="--check")
    if out is not None:
        check_writable(out)
    if timeline is not None:
        check_file_writable(timeline)

    from accelsim.hardware.loader import load_accelerator

    chip = load_accelerator(accelerator)
    if inputs is None:
        from accelsim.simulation import simulate as run

        network = reading.load(model, widths)
        with progress_bar(network.name) as progress:
            result = run(chip, network, options=choices, records_timeline=timeline is not None, progress=progress,
                         engine=timed_by, estimated=_say_how_long)
        differences = None
    elif timed_by == "stepped":
        result, differences = _run_stepped(
            chip, reading.load_integers(model), inputs, rounding=rule, options=choices, event_limit=events,
            records_timeline=timeline is not None), None
    else:
        result, differences = run_integers(
            chip, reading.load_integers(model), inputs, rounding=rule, runtime=check, options=choices, event_limit=events,
            records_timeline=timeline is not None)
    _write(result, out, timeline)
    if is_json:
        print_json(result.to_dict() | ({"check": check_document(differences)} if differences is not None else {}))
    else:
        _print(result, top, differences)


def _run_stepped(chip: Accelerator, network: QuantizedNetwork, inputs: Path, **options: Any) -> NetworkResult:
    """A run whose integers the registers compute."""
    from accelsim.simulation import simulate as run
    from accelsim.workload.input_values import load_arrays, samples

    arrays = load_arrays(inputs)
    samples(network, arrays, file=str(inputs))  # a mistake in the file names the file
    with progress_bar(network.network.name) as progress:
        return run(chip, network, inputs=arrays, progress=progress, engine="stepped", estimated=_say_how_long, **options)


def _say_how_long(estimate: Estimate) -> None:
    print_remark(f"stepped engine: {estimate.clocks:,} clock cycles to move the registers through, about "
                 f"{estimate.seconds:,.0f} s at {estimate.clocks_per_second:,.0f} a second")


def _write(result: NetworkResult, out: Path | None, timeline: Path | None) -> None:
    if out is not None:
        from accelsim.report.writer import write_report

        print_remark(f"report: {write_report(result, out)}")
    if timeline is not None:
        from accelsim.report.timeline import trace_json
        from accelsim.whole_file import write_atomically

        write_atomically(timeline, trace_json(result).encode())
        print_remark(f"timeline: {timeline}")


def _print(result: NetworkResult, top: int, differences: Differences | None) -> None:
    from accelsim.report.headlines import headlines
    from accelsim.report.tables import layer_table

    print_table(lambda width: layer_table(result, top=top, width=width))
    if result.has_values:
        print_values(result, differences)
    print_text(", ".join(f"{headline.label} {headline.value}" for headline in headlines(result)))
    if result.unsupported:
        operators = ", ".join(f"{name} x{count}" for name, count in result.unsupported.items())
        print_text(f"not simulated, and missing from every number: {operators}")
