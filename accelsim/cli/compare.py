"""``accelsim compare``: a network on several accelerators, at several widths."""

from __future__ import annotations

from typing import Annotated

import typer

from accelsim.cli import options as given
from accelsim.cli.output import print_json, print_remark, print_table, print_text, progress_bar
from accelsim.errors import AccelsimError


def compare(
    model: given.ModelArgument,
    accelerators: Annotated[
        list[str],
        typer.Argument(metavar="HW...", help="Names of shipped accelerators or paths of .yaml files.", show_default=False),
    ],
    bits: Annotated[
        list[str] | None,
        typer.Option(
            "--bits",
            metavar="W/A",
            help="Widths of weights and activations; repeatable. 8/8 if left out.",
            show_default=False,
        ),
    ] = None,
    out: given.OutOption = None,
    is_json: given.JsonOption = False,
    batch: given.BatchOption = None,
    shapes: given.ShapeOption = None,
    parameters: given.SetOption = None,
    objective: given.ObjectiveOption = "latency",
    keeps_activations: given.KeepOption = False,
    prefetches_weights: given.PrefetchOption = False,
    is_strict: given.StrictOption = False,
) -> None:
    """Compare accelerators, or bit widths, on one network: who wins each layer, and why."""
    designs = _designs(accelerators, bits or ["8/8"])
    reading = given.model_options(batch=batch, shapes=shapes, parameters=parameters, is_strict=is_strict)
    choices = given.mapping_options(
        objective=objective, keeps_activations=keeps_activations, prefetches_weights=prefetches_weights
    )
    if out is not None:
        from accelsim.whole_file import check_writable

        check_writable(out)

    from accelsim.hardware.loader import load_accelerator
    from accelsim.report.compare import comparison_table, write_comparison
    from accelsim.report.comparison import Comparison
    from accelsim.simulation import simulate

    chips = {name: load_accelerator(name) for name in accelerators}
    networks = {widths: reading.load(model, widths) for _, widths in designs.values()}
    results = {}
    for label, (name, widths) in designs.items():
        with progress_bar(label) as progress:
            results[label] = simulate(chips[name], networks[widths], options=choices, progress=progress)
    comparison = Comparison(results)
    if out is not None:
        print_remark(f"report: {write_comparison(comparison, out)}")
    if is_json:
        print_json(comparison.to_dict())
        return
    print_table(lambda width: comparison_table(comparison))
    unsupported = comparison.baseline.unsupported
    if unsupported:
        operators = ", ".join(f"{name} x{count}" for name, count in unsupported.items())
        print_text(f"not simulated, and missing from every number: {operators}")


def _designs(accelerators: list[str], bits: list[str]) -> dict[str, tuple[str, tuple[int, int]]]:
    """Label -> (accelerator, widths); the label tells what differs."""
    designs = {}
    for name in accelerators:
        for text in bits:
            widths = given.parse_bits(text)
            parts = [name] if len(accelerators) > 1 or len(bits) == 1 else []
            parts += [f"{widths[0]}/{widths[1]}"] if len(bits) > 1 else []
            label = " ".join(parts)
            if label in designs:
                raise AccelsimError(f"expected different designs, got {label} twice")
            designs[label] = (name, widths)
    if len(designs) < 2:
        raise AccelsimError("expected at least two designs to compare: two accelerators, or --bits twice")
    return designs
