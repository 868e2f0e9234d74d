"""``accelsim sweep``: a network on variations of an accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli import options as given
from accelsim.cli.output import print_json, print_remark, print_table, print_text, progress_bar
from accelsim.cli.runs import ClusterOption, StoreOption, WorkersOption, opened_store, workers_of
from accelsim.errors import AccelsimError

if TYPE_CHECKING:
    from accelsim.lut.sweep import Value


def sweep(
    model: given.ModelArgument,
    accelerator: given.AcceleratorArgument = "edge_16x16",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=V1,V2,...", help="Values of a field of the description, such as "
                     "pe_grid.rows=8,16,32; repeatable, every combination is simulated.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write page, Pareto figure, CSV and JSON there.", show_default=False),
    ] = None,
    is_json: given.JsonOption = False,
    bits: given.BitsOption = "8/8",
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    store: StoreOption = None,
    batch: given.BatchOption = None,
    shapes: given.ShapeOption = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--parameter", metavar="NAME=VALUE", help="A size of a layer list (.yaml); repeatable.",
                     show_default=False),
    ] = None,
    objective: given.ObjectiveOption = "latency",
    is_strict: given.StrictOption = False,
) -> None:
    """Simulate a network on every combination of some fields' values: latency, energy and area.

    Runs are remembered: an interrupted sweep goes on where it stopped, and one with more values adds to it. Layers are
    simulated by themselves, without residency and prefetch.
    """
    from accelsim.whole_file import check_writable

    fields = parse_settings(settings or [])
    widths = given.parse_bits(bits)
    reading = given.model_options(batch=batch, shapes=shapes, parameters=parameters, is_strict=is_strict)
    choices = given.mapping_options(objective=objective, keeps_activations=False, prefetches_weights=False)
    if out is not None:
        check_writable(out)

    from accelsim.hardware.loader import load_accelerator
    from accelsim.lut.sweep import run_sweep
    from accelsim.report.sweep import sweep_document, sweep_table, write_sweep

    chip, network = load_accelerator(accelerator), reading.load(model, widths)
    with opened_store(store) as runs, progress_bar(network.name, shows_time_left=True) as told:
        found = run_sweep(network, chip, fields, options=choices, store=runs, workers=workers_of(workers, cluster),
                          told=told)
    if out is not None:
        print_remark(f"report: {write_sweep(found, out)}")
    if is_json:
        print_json(sweep_document(found))
        return
    print_table(lambda width: sweep_table(found, width=width))
    if network.unsupported:
        operators = ", ".join(f"{name} x{count}" for name, count in network.unsupported.items())
        print_text(f"not simulated, and missing from every number: {operators}")


def parse_settings(texts: Sequence[str]) -> dict[str, list[Value]]:
    """Field -> its values, each as the YAML would read it.

    >>> parse_settings(["pe_grid.rows=8,16", "dram.bandwidth=3.2 GB/s,51.2 GB/s", "accumulators.preloads_bias=true,false"])
    {'pe_grid.rows': [8, 16], 'dram.bandwidth': ['3.2 GB/s', '51.2 GB/s'], 'accumulators.preloads_bias': [True, False]}
    """
    if not texts:
        raise AccelsimError("expected at least one field with values such as pe_grid.rows=8,16,32, got none", field="--set")
    found: dict[str, list[Value]] = {}
    for text in texts:
        field, separator, values = text.partition("=")
        parts = [part.strip() for part in values.split(",")]
        if not separator or not field.strip() or not all(parts):
            raise AccelsimError(f"expected a field and its values such as pe_grid.rows=8,16,32, got {text}", field="--set")
        field = field.strip()
        if field in found:
            raise AccelsimError(f"expected every field once, got {field} twice", field="--set")
        values_of_field = [_value(part) for part in parts]
        if len({repr(value) for value in values_of_field}) < len(values_of_field):
            raise AccelsimError(f"expected different values, got {text}", field="--set")
        found[field] = values_of_field
    return found


def _value(text: str) -> Value:
    """A scalar as the YAML would read it."""
    if text in ("true", "false"):
        return text == "true"
    if text in ("null", "none"):
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
