"""``accelsim waveform``: every register of the PE grid in every clock cycle of a tile, as signals or as a moving picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli import options as given
from accelsim.cli.output import print_remark
from accelsim.errors import AccelsimError, UnitError

if TYPE_CHECKING:
    from accelsim.machine.stepped.layer_step import LayerStep
    from accelsim.report.waveform import Clocks

_CLOCKS = re.compile(r"([0-9]{1,15}):([0-9]{1,15})")


def waveform(
    model: given.ModelArgument,
    accelerator: given.AcceleratorArgument = "edge_16x16",
    layer: Annotated[str, typer.Option("--layer", metavar="NAME", help="Layer on the PE grid.", show_default=False)] = "",
    tile: Annotated[
        int, typer.Option("--tile", min=0, metavar="N", help="Which of the layer's compute steps, from 0.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE.vcd", help="Write the signals here, for GTKWave or Surfer.", show_default=False
        ),
    ] = None,
    animate: Annotated[
        Path | None,
        typer.Option(
            "--animate",
            metavar="FILE",
            help="Write a moving picture here: .html with a player, .gif, or .png for one clock cycle.",
            show_default=False,
        ),
    ] = None,
    clocks: Annotated[
        str | None,
        typer.Option(
            "--clocks",
            metavar="FIRST:END",
            help="Clock cycles that are shown, from 0; left out, all of a .vcd, 240 of an .html, 60 of a .gif.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[str, typer.Option("--limit", metavar="SIZE", help="Refuse larger files.")] = "100 MB",
    inputs: given.InputsOption = None,
    sample: Annotated[int, typer.Option("--sample", min=0, metavar="N", help="With --inputs: which sample, from 0.")] = 0,
    rounding: given.RoundingOption = "hardware",
    seed: Annotated[
        int, typer.Option("--seed", min=0, metavar="N", help="Without --inputs: of the random integers that are shown.")
    ] = 0,
    batch: given.BatchOption = None,
    shapes: given.ShapeOption = None,
    parameters: given.SetOption = None,
    bits: given.BitsOption = "8/8",
    objective: given.ObjectiveOption = "latency",
    keeps_activations: given.KeepOption = False,
    prefetches_weights: given.PrefetchOption = False,
) -> None:
    """Show one tile of a layer on the PE grid, register by register and clock by clock."""
    widths, rule = given.parse_bits(bits), given.parse_rounding(rounding)
    reading = given.model_options(batch=batch, shapes=shapes, parameters=parameters, is_strict=False)
    choices = given.mapping_options(
        objective=objective, keeps_activations=keeps_activations, prefetches_weights=prefetches_weights
    )
    shown, most_bytes = _parse_clocks(clocks), _parse_limit(limit)
    if not layer:
        raise AccelsimError("expected the name of a layer, got none", field="--layer")
    if inputs is not None and bits != "8/8":
        raise AccelsimError("a model with integers has widths of its own", field="--bits")
    _check_files(out, animate)

    from accelsim.hardware.loader import load_accelerator
    from accelsim.report.shown_step import shown_step

    chip = load_accelerator(accelerator)
    if inputs is None:
        step = shown_step(chip, reading.load(model, widths), layer=layer, tile=tile, options=choices, seed=seed)
    else:
        from accelsim.workload.input_values import load_arrays

        network, arrays = reading.load_integers(model), load_arrays(inputs)
        step = shown_step(chip, network, layer=layer, tile=tile, options=choices, inputs=arrays, file=str(inputs),
                          sample=sample, rounding=rule)
    _say_what(step)
    _check_sizes(step, out, animate, shown, most_bytes)
    _write(step, out, animate, shown)


def _parse_clocks(text: str | None) -> Clocks | None:
    """A half-open range.

    >>> _parse_clocks("10:20")
    (10, 20)
    """
    if text is None:
        return None
    match = _CLOCKS.fullmatch(text)
    if match is None or int(match[1]) >= int(match[2]):
        raise AccelsimError(f"expected a first clock cycle and an end behind it such as 0:240, got {text}", field="--clocks")
    return int(match[1]), int(match[2])


def _parse_limit(text: str) -> int:
    from accelsim.units import parse_size

    try:
        return parse_size(text)
    except UnitError as error:
        raise AccelsimError(error.problem, field="--limit") from None


def _check_files(out: Path | None, animate: Path | None) -> None:
    """Refuse files that cannot be written before anything long begins."""
    from accelsim.whole_file import check_file_writable

    if out is None and animate is None:
        raise AccelsimError("expected a file for the signals, or --animate, got neither", field="--out")
    if animate is not None:
        from accelsim.report.animation import check_suffix

        check_suffix(animate)
        if out is not None and out.absolute() == animate.absolute():
            raise AccelsimError("expected another file than the signals'", field="--animate")
    for path in (out, animate):
        if path is not None:
            check_file_writable(path)


def _say_what(step: LayerStep) -> None:
    from accelsim.report.waveform import requantizer_clocks, step_clocks

    count, behind = len(step.folds), requantizer_clocks(step)
    folds = f"{count:,} folds" if count > 1 else "1 fold"
    print_remark(f"{step.title}: step {step.step.number} of its program, {step.ranges_text}; {folds}, "
                 f"{step_clocks(step):,} clock cycles" + (f" and {behind:,} of the requantizer" if behind else ""))
    print_remark(f"operands: {step.source}")
    if step.remark:
        print_remark(step.remark)


def _check_sizes(step: LayerStep, out: Path | None, animate: Path | None, clocks: Clocks | None, most_bytes: int) -> None:
    """Say how large the files will be, or refuse to write them."""
    from accelsim.report.waveform import checked_clocks, requantizer_clocks, step_clocks
    from accelsim.report.waveform_size import expected_bytes
    from accelsim.units import format_scaled

    total, expected = step_clocks(step) + requantizer_clocks(step), []
    if out is not None:
        first, end = checked_clocks(step, clocks or (0, total))
        expected.append((out, end - first, expected_bytes(step, clocks=end - first, of=total)))
    if animate is not None:
        from accelsim.report.animation import animated_clocks, animation_bytes

        first, end = animated_clocks(step, animate, clocks)
        expected.append((animate, end - first, animation_bytes(step, animate, (first, end))))
    for path, count, size in expected:
        if size > most_bytes:
            raise AccelsimError(f"expected at most {format_scaled(most_bytes, 'B')}, got about {format_scaled(size, 'B')} "
                                f"for {count:,} clock cycles; --clocks FIRST:END shows fewer of them, --limit allows more",
                                file=str(path))
    for path, count, size in expected:
        print_remark(f"{path}: {count:,} clock cycle{'s' if count > 1 else ''}, about {format_scaled(size, 'B')}")


def _write(step: LayerStep, out: Path | None, animate: Path | None, clocks: Clocks | None) -> None:
    from accelsim.report.waveform import requantizer_clocks, step_clocks, write_waveform

    if out is not None:
        write_waveform(step, out, clocks=clocks)
        print_remark(f"waveform: {out}")
    if animate is not None:
        from accelsim.report.animation import write_animation

        first, end = write_animation(step, animate, clocks=clocks)
        total = step_clocks(step) + requantizer_clocks(step)
        more = f", clock cycles {first}:{end} of 0:{total}; --clocks shows others" if (first, end) != (0, total) else ""
        print_remark(f"animation: {animate}{more}")
