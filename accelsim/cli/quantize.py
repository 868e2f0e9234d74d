"""``accelsim quantize``: a float network to integers that the machine executes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from accelsim.cli import options as given
from accelsim.cli import quantization_options as wanted
from accelsim.cli.output import print_json, print_remark, print_table, progress_bar
from accelsim.errors import AccelsimError, QuantizationError
from accelsim.version import __version__

if TYPE_CHECKING:
    from accelsim.quantization.bit_policy import BitPolicy
    from accelsim.quantization.quantized_model import QuantizedModel


def quantize(
    model: wanted.FloatModelArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.onnx", help="Write the quantized network here.", show_default=False),
    ] = None,
    data: wanted.DataOption = None,
    policy: wanted.PolicyOption = None,
    bits: wanted.WidthsOption = None,
    recipe: wanted.RecipeOption = "standard",
    weights_format: Annotated[
        str | None,
        typer.Option(
            "--weights-format",
            metavar="NAME",
            help="What a weight is in memory: uniform, power_of_two, additive_powers, binary_code, codebook, product, "
            "binary, ternary.",
            show_default=False,
        ),
    ] = None,
    rounding: Annotated[
        str | None,
        typer.Option(
            "--rounding",
            metavar="RULE",
            help="Deploy on integers alone, requantized by this rule: dyadic, power_of_two, shift_floor, tflite_double, "
            "tflite_single, tflite_micro, nvdla, tosa_single, tosa_double.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--form", metavar="qdq|qoperator", help="How the file tells the integers.")
    ] = "qdq",
    float_out: Annotated[
        Path | None,
        typer.Option("--float", metavar="FILE.onnx", help="Write the prepared float network here.", show_default=False),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="DIR",
            help="Write layers.csv, tensors.csv, quantization.json and, with --rounding, requantization.csv there.",
            show_default=False,
        ),
    ] = None,
    is_json: given.JsonOption = False,
    batch: given.BatchOption = None,
    shapes: given.ShapeOption = None,
) -> None:
    """Quantize a float network: fold, calibrate, round, and save it as standard ONNX."""
    from accelsim.whole_file import check_file_writable, check_writable, write_atomically

    if out is None:
        raise AccelsimError("expected a file for the quantized network, got none", field="--out")
    _check_targets(out, float_out, inputs={"model": Path(model), "calibration set": data, "policy": policy})
    _check_form(form)
    sizes = given.parse_shapes(shapes or [])
    for path in (out, float_out):
        if path is not None:
            check_file_writable(path)
    if report is not None:
        check_writable(report)
    chosen = wanted.chosen_policy(policy, bits, weights_format)
    steps = wanted.chosen_recipe(recipe)
    if rounding is not None:
        chosen = _on_integers(chosen, rounding)

    from accelsim.quantization.float_model import FloatModel
    from accelsim.quantization.onnx_file import content_of
    from accelsim.quantization.quantize import quantize as quantized_network

    network = FloatModel.load(model, batch=batch, shapes=sizes)
    with progress_bar(network.name) as progress:
        quantized = quantized_network(network, data, chosen, recipe=steps, told=progress)
    remarks = [*quantized.remarks, *_check_executable(quantized), *_pes_for_codes(quantized)]
    content = content_of(quantized.proto(form))  # type: ignore[arg-type]
    if float_out is not None:
        write_atomically(float_out, content_of(quantized.model.proto))
    if report is not None:
        _write_report(quantized, network.fingerprint, report)
    write_atomically(out, content)
    for line in (*remarks, *quantized.steps):
        print_remark(str(line))
    print_remark(f"quantized network: {out}")
    if is_json:
        print_json(_document(quantized, network.fingerprint))
        return
    print_table(lambda width: _table(quantized, width))


def _check_targets(out: Path, float_out: Path | None, *, inputs: Mapping[str, Path | None]) -> None:
    """That no file takes the place of another one, or of what the command reads."""
    if float_out is not None and float_out.resolve() == out.resolve():
        raise AccelsimError("expected another file than the quantized network's", field="--float")
    for option, target in (("--out", out), ("--float", float_out)):
        for name, source in inputs.items():
            if target is not None and source is not None and target.resolve() == source.resolve():
                raise AccelsimError(f"expected another file than the {name}'s", field=option)


def _check_form(form: str) -> None:
    from accelsim.quantization.quantized_model import Form

    if form not in get_args(Form):
        raise AccelsimError(f"expected {' or '.join(get_args(Form))}, got {form}", field="--form")


def _on_integers(policy: BitPolicy, rule: str) -> BitPolicy:
    """The policy with this requantization rule."""
    try:
        return policy.with_requantization(rule)
    except QuantizationError as error:
        raise AccelsimError(error.problem, field="--rounding") from None


def _check_executable(quantized: QuantizedModel) -> list[str]:
    """That the machine executes the network with its integers; a remark where it can but time it.

    Ranges that are found during the run, and scales of blocks with zero points, are simulated without integers by intention.
    """
    blocks = [own.qparams for own in quantized.weights.values() if own.qparams.group_size is not None]
    is_timed_alone = bool(quantized.dynamic) or any(grid.zero_point.any() for grid in blocks)
    if is_timed_alone and quantized.policy.requantization is None:
        return ["scales found during the run, or zero points of blocks: the machine times this network and carries no "
                "integers"]
    quantized.network()
    return []


def _pes_for_codes(quantized: QuantizedModel) -> list[str]:
    """Which PEs take the codes of the layers that have some."""
    from accelsim.quantization.nonuniform.lowered_weights import shared_precision

    codes = [own.lowered for own in quantized.weights.values() if own.lowered is not None]
    if not codes:
        return []
    widest = max((grid.qtype.bits for grid in quantized.activations.values()), default=8)
    found = shared_precision(codes, input_bits=widest)
    if found is None:
        return ["codes of several kinds: no PE takes them all"]
    shown = ", ".join(f"{name}: {option}" for name, option in found.items())
    return [f"PEs that take the codes: precision: {{{shown}}}"]


def _table(quantized: QuantizedModel, width: int) -> Any:
    from accelsim.quantization.quantization_rows import layer_rows, mean_weight_bits, whole_sqnr_db
    from accelsim.report.fitted_table import Justify, Row, fitted_table

    headings: dict[str, Justify] = {
        "layer": "left", "kind": "left", "weights": "right", "scheme": "left", "range": "left", "rounding": "left",
        "SQNR dB": "right", "output": "right", "output scheme": "left", "output range": "left"}
    found = layer_rows(quantized)
    rows: list[Row] = [(_cells(row), "") for row in found]
    last = dict.fromkeys(headings, "")
    last |= {"layer": f"all {len(found)} layers", "weights": f"{mean_weight_bits(quantized):.3g} b",
             "SQNR dB": f"{whole_sqnr_db(quantized):.1f}"}
    rows.append((last, "bold"))
    title = f"{quantized.model.name}, {quantized.policy.name}"
    return fitted_table(rows, headings=headings, title=title, width=width,
                        first_to_go=("rounding", "kind", "output scheme", "scheme", "output range"))


def _cells(row: dict[str, Any]) -> dict[str, str]:
    has_weights = row["weights"] is not None
    ratio = row["weight_sqnr_db"]
    return {
        "layer": row["layer"], "kind": row["kind"],
        "weights": f"{row['weight_bits']} b" if has_weights else "–",
        "scheme": f"{row['weight_symmetry'] or row['weight_format']}, {row['granularity']}" if has_weights else "",
        "range": row["weight_range"] or "", "rounding": row["rounding"] or "",
        "SQNR dB": "–" if not has_weights else "exact" if ratio is None else f"{ratio:.1f}",
        "output": f"{row['output_bits']} b", "output scheme": row["output_symmetry"], "output range": row["output_range"]}


def _document(quantized: QuantizedModel, fingerprint: str) -> dict[str, Any]:
    """Plain data; the fingerprint is that of the float network as it was given."""
    from accelsim.quantization.quantization_rows import layer_rows, placement_rows

    return {"accelsim_version": __version__, "network": quantized.model.name, "network_fingerprint": fingerprint,
            "policy": quantized.policy.to_document(), "layers": layer_rows(quantized),
            "tensors": list(placement_rows(quantized)), "remarks": list(quantized.remarks),
            "steps": [step._asdict() for step in quantized.steps]}


def _write_report(quantized: QuantizedModel, fingerprint: str, folder: Path) -> None:
    from accelsim.quantization.quantization_rows import layer_rows, placement_rows
    from accelsim.report.writer import csv_bytes, json_bytes, write_files

    files = {"layers.csv": csv_bytes(layer_rows(quantized)), "tensors.csv": csv_bytes(list(placement_rows(quantized))),
             "quantization.json": json_bytes(_document(quantized, fingerprint))}
    if quantized.policy.requantization is not None:
        from accelsim.quantization.integer_arithmetic import requantization_rows

        files["requantization.csv"] = csv_bytes(list(requantization_rows(quantized.network())))
    write_files(files, folder)
    print_remark(f"report: {folder}")
