"""The command line: exit codes, one-line mistakes, JSON that programs can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from accelsim.cli import main as entry
from accelsim.cli.main import main
from accelsim.version import __version__

LIMITS = "expected weight and activation bits from 1 to 32 such as 4/8"


def _process(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from accelsim.cli.main import run; run()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulate", "resnet50", "--bits", "8"], f"--bits: {LIMITS}, got 8"),
        (["simulate", "resnet50", "--bits", "x/8"], f"--bits: {LIMITS}, got x/8"),
        (["simulate", "resnet50", "--bits", "0/8"], f"--bits: {LIMITS}, got 0/8"),
        (["simulate", "resnet50", "--bits", "8/33"], f"--bits: {LIMITS}, got 8/33"),
        (["simulate", "resnet50", "--bits", "8/8/8"], f"--bits: {LIMITS}, got 8/8/8"),
        (
            ["simulate", "resnet50", "--shape", "foo"],
            "--shape: expected an input's name and its sizes such as input=1x3x224x224, got foo",
        ),
        (
            ["simulate", "resnet50", "--shape", "x=1x0"],
            "--shape: expected an input's name and its sizes such as input=1x3x224x224, got x=1x0",
        ),
        (
            ["simulate", "resnet50", "--shape", "x=1", "--shape", "x=2"],
            "--shape: expected one shape per input, got two for x",
        ),
        (
            ["simulate", "resnet50", "--set", "batch"],
            "--set: expected a parameter and a whole number such as sequence=128, got batch",
        ),
        (["simulate", "resnet50", "--set", "a=1", "--set", "a=2"], "--set: expected one value per parameter, got two for a"),
        (["simulate", "resnet50", "--objective", "area"], "--objective: expected latency, energy, edp, got area"),
        (
            ["compare", "resnet50", "edge_16x16"],
            "expected at least two designs to compare: two accelerators, or --bits twice",
        ),
        (["compare", "resnet50", "edge_16x16", "edge_16x16"], "expected different designs, got edge_16x16 twice"),
        (["compare", "resnet50", "edge_16x16", "--bits", "4/8", "--bits", "8"], f"--bits: {LIMITS}, got 8"),
        (["check", "missing.yaml"], "missing.yaml: expected a file, found none of that name"),
        (["simulate"], "Missing argument 'MODEL'."),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"accelsim: {message}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "resnet50", "--batch", "0"],
        ["simulate", "resnet50", "--batch", "x"],
        ["simulate", "resnet50", "--top", "-1"],
        ["simulate", "resnet50", "--nonsense"],
        ["nonsense"],
    ],
)
def test_what_the_parser_refuses_is_one_line_too(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("accelsim: ")
    assert captured.err.count("\n") == 1


def test_an_unwritable_place_is_told_before_the_model_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["simulate", "no_such_model", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == (
        f"accelsim: {tmp_path}/file: expected a folder to write to, got the file {tmp_path}/file\n"
    )
    assert main(["simulate", "no_such_model", "--timeline", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"accelsim: {tmp_path}: expected a file to write to, got a folder\n"


def test_our_own_bug_is_exit_code_1_with_a_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("we divided by zero")

    monkeypatch.setattr(entry, "app", fail)
    assert main(["presets"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2:] == [
        "ZeroDivisionError: we divided by zero",
        "accelsim: this is a bug in accelsim; please report it with the lines above and the command",
    ]


def test_an_interrupt_is_exit_code_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "app", interrupt)
    assert main(["presets"]) == 130
    assert capsys.readouterr().err == ""


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"accelsim {__version__}\n"


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    for command in ("simulate", "compare", "check", "presets", "schema"):
        assert command in text


def test_check_does_not_load_the_simulator() -> None:
    program = (
        "import sys; from accelsim.cli.main import main; code = main(['check', 'edge_16x16']); "
        "heavy = {'numpy', 'pandas', 'onnx', 'matplotlib', 'simpy', 'rich', 'jinja2'} & set(sys.modules); "
        "sys.exit(f'{code} {heavy}' if code or heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_check_says_what_a_file_describes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "whitepaper_4x4"]) == 0
    text = capsys.readouterr().out
    for label in (
        "whitepaper_4x4",
        "clock",
        "PE grid",
        "peak",
        "buffers",
        "accumulators",
        "DRAM",
        "ridge point",
        "energy table",
    ):
        assert any(line.startswith(label) for line in text.splitlines())


@pytest.mark.parametrize(
    ("preset", "lines"),
    [
        (
            "gemmini_16x16",
            (
                "accumulators   64 KiB, 32 bits that wrap on overflow; 20 bits between PEs",
                "requantizer    16 outputs/cycle, float32_nearest_even",
                "zero points    of inputs folded into the bias; of weights by an extra channel on the grid",
            ),
        ),
        (
            "nvdla_small",
            ("accumulators   2.12 KiB, 34 bits that saturate on overflow", "requantizer    1 outputs/cycle, nvdla"),
        ),
        (
            "ethos_u55_128",
            ("zero points    of inputs subtracted before the grid; of weights by an extra channel on the grid",),
        ),
    ],
)
def test_check_says_what_decides_the_integers(
    preset: str, lines: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", preset]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line not in shown] == []


def test_check_and_presets_and_schema_speak_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "edge_16x16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["macs_per_cycle"] == 256
    assert main(["presets", "--json"]) == 0
    shipped = json.loads(capsys.readouterr().out)
    assert set(shipped) == {"accelerators", "energy_tables", "networks"}
    assert "edge_16x16" in shipped["accelerators"]
    assert main(["schema"]) == 0
    assert "pe_grid" in json.loads(capsys.readouterr().out)["properties"]


def test_brackets_in_a_users_text_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "[bold]npu[/bold].yaml"]) == 2
    assert capsys.readouterr().err == ("accelsim: [bold]npu[/bold].yaml: expected a file, found none of that name\n")


def test_simulate_prints_a_table_and_nothing_on_stderr_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "mlperf_tiny_resnet8", "--top", "2"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == "mlperf_tiny_resnet8 on edge_16x16"
    assert any(line.startswith(" all 15 layers") for line in lines)
    assert lines[-1].startswith("Latency ")
    assert "\x1b" not in captured.out


def test_simulate_writes_report_and_trace_and_prints_json_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, trace = tmp_path / "report", tmp_path / "report" / "trace.json"
    assert (
        main(
            [
                "simulate",
                "mlperf_tiny_resnet8",
                "whitepaper_4x4",
                "--bits",
                "4/8",
                "--json",
                "--out",
                str(out),
                "--timeline",
                str(trace),
            ]
        )
        == 0
    )
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert {layer["weight_bits"] for layer in document["layers"] if layer["kind"] == "conv"} == {4}
    assert captured.err == f"report: {out}/index.html\ntimeline: {trace}\n"
    assert json.loads((out / "result.json").read_text()) == document
    assert json.loads(trace.read_text())["displayTimeUnit"] == "ns"


def test_compare_names_designs_by_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["compare", "mlperf_tiny_resnet8", "edge_16x16", "--bits", "8/8", "--bits", "4/8"]
    assert main([*arguments, "--json", "--out", str(tmp_path / "out")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [design["label"] for design in document["designs"]] == ["8/8", "4/8"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"index.html", "compare.csv", "compare.json", "figures"}
    assert main(["compare", "mlperf_tiny_resnet8", "edge_16x16", "whitepaper_4x4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mlperf_tiny_resnet8: 2 designs"
    assert [line.split()[0] for line in lines[4:6]] == ["edge_16x16", "whitepaper_4x4"]


def test_a_reader_who_leaves_early_is_no_error() -> None:
    program = "from accelsim.cli.main import run; run()"
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        done = subprocess.run(
            [sys.executable, "-c", program, "schema"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_process_ends_with_the_exit_code() -> None:
    done = _process("check", "nope.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "accelsim: nope.yaml: expected a file, found none of that name\n",
    )


def test_program_prints_the_steps_of_a_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["program", "mlperf_tiny_autoencoder"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("layer ")
    assert any(" compute g[0:1] m[0:1] " in line for line in lines)
    assert any(" store " in line for line in lines)


def test_program_of_an_unknown_layer_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["program", "mlperf_tiny_autoencoder", "--layer", "nope"]) == 2
    assert capsys.readouterr().err == 'accelsim: --layer: mlperf_tiny_autoencoder has no layer "nope"\n'
