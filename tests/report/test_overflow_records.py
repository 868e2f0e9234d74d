"""The files of overflows: every event that was kept, and tallies of all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from accelsim import load_accelerator, simulate, with_changes
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule
from accelsim.report.overflow_records import event_rows
from accelsim.report.writer import report_files, write_report
from accelsim.results.network_result import NetworkResult
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.operation import MatMul
from accelsim.workload.quantized_network import ModelInput, ModelOutput, QuantizedLayer, QuantizedNetwork
from accelsim.workload.tensor import Tensor

HEADER = "layer,place,coordinate,pe_row,pe_column,step,cycle,exact,kept,direction,sample\n"


def test_events_tell_where_when_and_what(overflowing_result: NetworkResult, tmp_path: Path) -> None:
    write_report(overflowing_result, tmp_path)
    assert (tmp_path / "events.csv").read_text() == (
        HEADER + "conv1,wires,0;5;7;3,2,3,18,77,9000,-7384,up,0\n"
        "conv1,accumulator,0;5;7;3,,3,31,80,-40000,25536,down,1\n"
        "fc,bias,0;2,,2,-1,900,70000,4464,up,0\n"
    )
    assert (tmp_path / "overflow_by_channel.csv").read_text() == (
        "layer,channel,events\nconv1,0,5\nconv1,3,2\nfc,row_sum,1\nfc,2,1\n"
    )
    assert (tmp_path / "overflow_by_fold.csv").read_text() == "layer,fold,events\nconv1,0,4\nconv1,1,3\nfc,bias,1\nfc,0,1\n"


def test_without_events_there_are_the_headings(safe_result: NetworkResult) -> None:
    files = report_files(safe_result)
    assert files["events.csv"].decode() == HEADER
    assert files["overflow_by_channel.csv"] == b"layer,channel,events\n"
    assert files["overflow_by_fold.csv"] == b"layer,fold,events\n"
    assert "width_trials.csv" not in files


def test_a_run_beside_which_widths_were_tried_has_the_trials_alone(trial_result: NetworkResult) -> None:
    files = report_files(trial_result)
    assert files["width_trials.csv"].decode().split("\n")[:4] == [
        "layer,bits,outputs,events,outputs_hit,wrong_outputs,largest_error",
        "conv1,18,1000,0,0,0,0",
        "conv1,16,1000,0,0,0,0",
        "conv1,14,1000,0,0,0,0",
    ]
    assert "conv2,14,1000,90,40,25,12\n" in files["width_trials.csv"].decode()
    assert not {"events.csv", "overflow_by_channel.csv", "overflow_by_fold.csv"} & set(files)


def test_json_and_layers_hold_widths_counts_and_the_outputs_fingerprints(overflowing_result: NetworkResult) -> None:
    files = report_files(overflowing_result)
    document = json.loads(files["result.json"])
    record = document["values"]
    fingerprint = record["model_outputs"]["logits"].pop("sha256")
    assert len(fingerprint) == 64
    assert record == {
        "rounding": "tflite_double",
        "samples": 2,
        "accumulator_bits": 16,
        "partial_sum_bits": 14,
        "overflow": "wrap",
        "overflow_events": 9,
        "outputs_hit": 4,
        "outputs": 2020,
        "overflow_events_by_place": {"accumulator": 4, "bias": 1, "row_sum": 1, "wires": 3},
        "model_outputs": {"logits": {"shape": [2, 1, 10], "dtype": "int8"}},
    }
    names = ("worst_case_bits", "running_bits", "final_bits", "overflow_events", "outputs_hit", "outputs", "proven")
    assert [[layer[name] for name in names] for layer in document["layers"]] == [
        [20, 18, 15, 7, 3, 1000, False],
        [None] * 7,
        [14, 12, 11, 0, 0, 1000, True],
        [19, 18, 17, 2, 1, 20, False],
    ]
    assert files["layers.csv"].decode().split("\n")[2].endswith(",,,,,,,")


def test_json_beside_trials_has_them_and_no_overflows_of_the_accelerators_own(trial_result: NetworkResult) -> None:
    document = trial_result.to_dict()
    assert len(document["values"]["width_trials"]) == 9
    assert not {"overflow_events", "outputs_hit", "outputs"} & set(document["values"])
    assert [
        (layer["running_bits"], layer["overflow_events"], layer["outputs_hit"], layer["proven"], layer["outputs"])
        for layer in document["layers"]
    ] == [(13, None, None, None, 1000), (None,) * 5, (16, None, None, None, 1000), (18, None, None, None, 1000)]


def _one_product() -> QuantizedNetwork:
    """1000 + 1 * 1 + 2 * 1, of which the bias alone leaves 8 bits."""
    x, w, y = Tensor("x", (1, 2), 8), Tensor("w", (1, 2), 8, is_constant=True), Tensor("y", (1, 1), 8)
    layer = Layer("fc", MatMul(m=1, k=2, n=1), (x,), y, weights=w)
    kind = QParams(scale=1.0, zero_point=0, qtype=QType(8, True))
    kernel = GridKernel(
        weights=np.array([[[1, 1]]]),
        bias=np.array([1000]),
        input=kind,
        weight=kind,
        output=kind,
        clamp_min=-128,
        clamp_max=127,
    )
    return QuantizedNetwork(
        Network("net", (layer,), outputs=("y",)),
        {"fc": QuantizedLayer(kernel, ((1, 2),), (1, 1), kind)},
        (ModelInput("x", "x", (1, 2), kind),),
        (ModelOutput("y", "y", (1, 1), kind),),
        rule=Rule("power_of_two"),
    )


def test_the_events_of_a_run_are_those_of_its_sums() -> None:
    accelerator = with_changes(load_accelerator("whitepaper_4x4"), {"accumulators.bits": 8})
    result = simulate(accelerator, _one_product(), inputs={"x": np.array([[[1, 2]], [[100, 27]]])}, rounding="model")
    rows = [
        {name: value for name, value in row.items() if name not in ("cycle", "pe_row", "pe_column")}
        for row in event_rows(result)
    ]
    common = {"layer": "fc", "coordinate": "0;0", "direction": "up"}
    # 1000 = 3 * 256 + 232, and 232 in 8 bits is -24; -24 + 3 and -24 + 127 fit again.
    assert rows == [
        common | {"place": "bias", "step": -1, "exact": 1000, "kept": -24, "sample": 0},
        common | {"place": "bias", "step": -1, "exact": 1000, "kept": -24, "sample": 1},
    ]
    assert result.outputs["y"].tolist() == [[[-21]], [[103]]]
