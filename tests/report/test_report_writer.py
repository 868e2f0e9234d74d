"""Reports on disk: whole or not at all."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from accelsim.errors import OutputError
from accelsim.report import figures
from accelsim.report.report_figure import ReportFigure
from accelsim.report.writer import write_report
from accelsim.results.network_result import NetworkResult
from accelsim.whole_file import check_file_writable, check_writable, write_atomically

FILES = {
    "index.html",
    "layers.csv",
    "result.json",
    "block_diagram.svg",
    *(f"figures/{name}.{suffix}" for name in figures.FIGURES for suffix in ("png", "svg")),
}


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_report_is_a_page_tables_and_figures(tiny_result: NetworkResult, tmp_path: Path) -> None:
    page = write_report(tiny_result, tmp_path / "new" / "report")
    assert page == tmp_path / "new" / "report" / "index.html"
    assert _files(tmp_path / "new") == {f"report/{name}" for name in FILES}


def test_a_report_in_a_folder_that_exists_leaves_other_files_alone(tiny_result: NetworkResult, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "index.html").write_text("old")
    write_report(tiny_result, tmp_path)
    assert _files(tmp_path) == {*FILES, "notes.txt"}
    assert (tmp_path / "index.html").read_text().startswith("<!DOCTYPE html>")


def test_files_are_readable_as_the_umask_says(tiny_result: NetworkResult, tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        write_report(tiny_result, tmp_path / "report")
    finally:
        os.umask(old)
    assert (tmp_path / "report").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "report" / "index.html").stat().st_mode & 0o777 == 0o644


def test_nothing_is_left_when_a_figure_fails(
    tiny_result: NetworkResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(result: NetworkResult) -> object:
        raise RuntimeError("no ink")

    monkeypatch.setitem(figures.FIGURES, "energy", ReportFigure(fail, "", ""))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="no ink"):
        write_report(tiny_result, tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_the_disk_fails(
    tiny_result: NetworkResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OutputError) as caught:
        write_report(tiny_result, tmp_path / "report")
    assert str(caught.value) == f"{tmp_path}/report: cannot be written: No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("")
    for folder in (target, target / "below"):
        with pytest.raises(OutputError) as caught:
            check_writable(folder)
        assert str(caught.value) == f"{folder}: expected a folder to write to, got the file {target}"


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    check_file_writable(tmp_path / "a" / "trace.json")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        check_file_writable(tmp_path)
    assert str(caught.value) == f"{tmp_path}: expected a file to write to, got a folder"


def test_one_file_is_written_whole(tmp_path: Path) -> None:
    write_atomically(tmp_path / "deep" / "trace.json", b"{}")
    assert _files(tmp_path) == {"deep/trace.json"}
    write_atomically(tmp_path / "deep" / "trace.json", b"[]")
    assert (tmp_path / "deep" / "trace.json").read_bytes() == b"[]"


def test_what_is_no_plain_file_is_written_through() -> None:
    write_atomically(Path(os.devnull), b"gone")
    assert not Path(os.devnull).is_file()


def test_csv_and_json_hold_every_layer_with_all_digits(tiny_result: NetworkResult, tmp_path: Path) -> None:
    odd = replace(tiny_result.layers[0], name='a,"b"\nc')
    result = replace(tiny_result, layers=(odd, *tiny_result.layers[1:]))
    write_report(result, tmp_path)
    with (tmp_path / "layers.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["layer"] for row in rows] == ['a,"b"\nc', "pool", "view"]
    assert [float(row["energy_pj"]) for row in rows] == [layer.total_energy_pj for layer in result.layers]
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(json.dumps(result.to_dict()))
