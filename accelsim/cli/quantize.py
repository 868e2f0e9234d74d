"""``accelsim quantize``: a float network to integers that the machine executes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from accelsim.cli import options as given
from accelsim.cli.output import print_json, print_remark, print_table, progress_bar
from accelsim.errors import AccelsimError

if TYPE_CHECKING:
    from accelsim.quantization.bit_policy import BitPolicy
    from accelsim.quantization.quantized_model import QuantizedModel

_MOST_BITS = 16


def quantize(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A float .onnx or .tflite model.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.onnx", help="Write the quantized network here.", show_default=False),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FILE|DIR",
            help="Samples to calibrate on: an .npz by the model's input names, or a folder of .npy or .npz files.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE.yaml", help="Widths, schemes and ranges by layer.", show_default=False),
    ] = None,
    bits: Annotated[
        str | None,
        typer.Option("--bits", metavar="W/A", help="Widths of weights and activations, 8/8 by default.", show_default=False),
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
            "--report", metavar="DIR", help="Write layers.csv, tensors.csv and quantization.json there.", show_default=False
        ),
    ] = None,
    is_json: given.JsonOption = False,
    batch: given.BatchOption = None,
    shapes: given.ShapeOption = None,
) -> None:
    """Quantize a float network: fold, calibrate, round, and save it as standard ONNX."""
    from accelsim.report.writer import check_file_writable, check_writable, write_atomically

    if out is None:
        raise AccelsimError("expected a file for the quantized network, got none", field="--out")
    if float_out is not None and float_out.absolute() == out.absolute():
        raise AccelsimError("expected another file than the quantized network's", field="--float")
    _check_form(form)
    sizes = given.parse_shapes(shapes or [])
    for path in (out, float_out):
        if path is not None:
            check_file_writable(path)
    if report is not None:
        check_writable(report)
    chosen = _policy(policy, bits)

    from accelsim.quantization.float_model import FloatModel
    from accelsim.quantization.onnx_file import content_of
    from accelsim.quantization.quantize import quantize as quantized_network

    network = FloatModel.load(model, batch=batch, shapes=sizes)
    with progress_bar(network.name) as progress:
        quantized = quantized_network(network, data, chosen, told=progress)
    remarks = [*quantized.remarks, *_check_executable(quantized)]
    content = content_of(quantized.proto(form))  # type: ignore[arg-type]
    if float_out is not None:
        write_atomically(float_out, content_of(quantized.model.proto))
    if report is not None:
        _write_report(quantized, report)
    write_atomically(out, content)
    for remark in remarks:
        print_remark(remark)
    print_remark(f"quantized network: {out}")
    if is_json:
        print_json(_document(quantized))
        return
    print_table(lambda width: _table(quantized, width))


def _check_form(form: str) -> None:
    from accelsim.quantization.quantized_model import Form

    if form not in get_args(Form):
        raise AccelsimError(f"expected {' or '.join(get_args(Form))}, got {form}", field="--form")


def _policy(policy: Path | None, bits: str | None) -> BitPolicy:
    """From a file, or of one pair of widths."""
    from accelsim.quantization.bit_policy import BitPolicy, load_bit_policy

    if policy is not None and bits is not None:
        raise AccelsimError("expected --policy or --bits, got both", field="--bits")
    if policy is not None:
        return load_bit_policy(policy)
    widths = given.parse_bits(bits or "8/8")
    if max(widths) > _MOST_BITS:
        raise AccelsimError(f"expected widths of at most {_MOST_BITS} bits, got {bits}", field="--bits")
    return BitPolicy.of(*widths)


def _check_executable(quantized: QuantizedModel) -> list[str]:
    """That the machine executes the network with its integers; a remark where it can but time it.

    Ranges that are found during the run, and scales of blocks, are simulated without integers by intention.
    """
    is_timed_alone = bool(quantized.dynamic) or any(own.qparams.group_size for own in quantized.weights.values())
    if is_timed_alone:
        return ["scales found during the run, or of blocks: the machine times this network and carries no integers"]
    quantized.network()
    return []


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
        "scheme": f"{row['weight_symmetry']}, {row['granularity']}" if has_weights else "",
        "range": row["weight_range"] or "", "rounding": row["rounding"] or "",
        "SQNR dB": "–" if not has_weights else "exact" if ratio is None else f"{ratio:.1f}",
        "output": f"{row['output_bits']} b", "output scheme": row["output_symmetry"], "output range": row["output_range"]}


def _document(quantized: QuantizedModel) -> dict[str, Any]:
    from accelsim.quantization.quantization_rows import layer_rows, placement_rows

    return {"network": quantized.model.name, "policy": quantized.policy.to_document(), "layers": layer_rows(quantized),
            "tensors": list(placement_rows(quantized)), "remarks": list(quantized.remarks)}


def _write_report(quantized: QuantizedModel, folder: Path) -> None:
    from accelsim.quantization.quantization_rows import layer_rows, placement_rows
    from accelsim.report.writer import csv_bytes, json_bytes, write_files

    write_files({"layers.csv": csv_bytes(layer_rows(quantized)), "tensors.csv": csv_bytes(list(placement_rows(quantized))),
                 "quantization.json": json_bytes(_document(quantized))}, folder)
    print_remark(f"report: {folder}")
