"""The moving picture of a compute step: what its places show, and the files that it becomes."""

from __future__ import annotations

import html
import io
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from accelsim import load_accelerator, with_changes
from accelsim.errors import AccelsimError, OutputError
from accelsim.machine.stepped.random_step import random_step
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.tiling import Tiling
from accelsim.report import animation
from accelsim.report.animation import MOST_GIF_CLOCKS, animated_clocks, animation_bytes, write_animation
from accelsim.report.grid_scene import GridScene, grid_scene
from accelsim.report.scene import HIDDEN, Scene, Slot, text_size
from accelsim.report.scene_picture import font_of
from accelsim.report.waveform import requantizer_clocks, step_clocks
from accelsim.workload.layer import Layer
from accelsim.workload.operation import MatMul
from accelsim.workload.tensor import Tensor

Image = pytest.importorskip("PIL.Image", reason="needs Pillow, which matplotlib brings")

DATAFLOWS = ("weight_stationary", "output_stationary", "input_stationary", "dot_product")

#: Places of a PE's cell and the registers that they show.
CELLS = {
    "weight_stationary": {"token": "streamed", "held": "stationary", "sum": "sum", "load": "loading"},
    "input_stationary": {"token": "streamed", "held": "stationary", "sum": "sum", "load": "loading"},
    "output_stationary": {"token": "streamed", "down": "streamed_down", "sum": "sum", "drain": "draining"},
    "dot_product": {"token": "streamed", "held": "stationary", "load": "loading"},
}


CHIP = load_accelerator("whitepaper_4x4")


def step_of(dataflow="weight_stationary", *, sizes=(12, 12, 8), bits=8, rows=4, columns=4, **changes):
    """A matrix product (m, k, n) in one tile on a grid of this size, with other changes of the description."""
    (m, k, n), described = sizes, {"pe_grid.dataflow": dataflow, "pe_grid.rows": rows, "pe_grid.columns": columns,
                                   **{name.replace("__", "."): value for name, value in changes.items()}}
    layer = Layer("fc", MatMul(m=m, k=k, n=n), (Tensor("x", (m, k), bits),), Tensor("y", (m, n), bits),
                  weights=Tensor("w", (n, k), bits, is_constant=True))
    chip = with_changes(CHIP, described)
    tiling = Tiling(groups=1, images=1, rows=m, columns=1, n=n, k=k, order="weights_outer", weight_scope="layer",
                    input_scope="block")
    return random_step(chip, "net", layer, build_grid_program(layer, tiling, chip), tile=0, seed=0)


class Kept:
    def __init__(self, step):
        self.clocks = []
        self.run = step.run(self)

    def clock(self, cycle, registers):
        self.clocks.append({name: array.copy() for name, array in registers.items()})


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("changes", [{}, {"pe_grid__registers_per_row_hop": 2, "pe_grid__registers_per_column_hop": 2},
                                     {"pe_grid__extra_stages": 2, "pe_grid__overlap": "none"}])
def test_every_number_in_a_cell_is_the_register_s(dataflow, changes):
    if dataflow == "dot_product":
        changes = {name: value for name, value in changes.items() if "hop" not in name}
    step = step_of(dataflow, **changes)
    kept, clocks = Kept(step).clocks, (0, 35)
    drawn = GridScene(step, clocks)
    states, count = drawn.scene.states(), 0
    for state, registers in zip(states, kept, strict=False):
        token = registers["token"]
        for (name, row, column), slot in drawn.places.cells.items():
            register = CELLS[dataflow].get(name)
            if register is None:
                continue
            is_lane = dataflow == "dot_product" and register == "streamed"
            value = registers[register].reshape(-1, *registers[register].shape[-1 if is_lane else -2:])[0]
            text, operand = state[slot][1], int(token[0, 0] if dataflow == "dot_product" else token[row, column])
            assert text in ("", str(value[column] if is_lane else value[row, column]))
            if name in ("token", "down"):
                assert (text != "") == (operand > 0)
            if name == "load":
                assert (text != "") == (registers["loading_row"][row, column] > 0)
            count += text != ""
    assert count > 200


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_an_accumulator_shows_what_was_written_last_and_its_bar_how_much_is_in(dataflow):
    step = step_of(dataflow)
    total, kept, shares = step_clocks(step), Kept(step), []
    for clocks in ((0, 30), (total - 20, total + 1)):
        drawn = GridScene(step, clocks)
        for cycle, state in zip(range(*clocks), drawn.scene.states(), strict=False):
            memory = kept.clocks[min(cycle, total - 1)]["accumulators"][1:].reshape(step.layout.outputs)
            for lane in drawn.places.lanes:
                label, value = (state[slot][1] for slot in (lane.label, lane.value))
                if label:
                    m, n = (int(number) for number in re.fullmatch(r"m(\d+) n(\d+)", label).groups())
                    assert value == str(memory[0, m - step.step.m[0], n - step.step.n[0]])
            shares.append([sum(state[slot][0] == drawn.paints.full for slot in lane.parts) for lane in drawn.places.lanes])
    assert (set(shares[0]), set(shares[-1])) == ({0}, {len(drawn.places.lanes[0].parts)})
    assert all(later >= earlier for before, after in pairwise(shares) for earlier, later in zip(before, after, strict=True))


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_what_waits_before_the_grid_enters_it_next(dataflow):
    """An operand one place before the first PE of its lane stands there in the next clock."""
    step = step_of(dataflow)
    drawn = GridScene(step, (0, 40))
    states = drawn.scene.states()
    for (name, lane, distance), slot in drawn.places.queue.items():
        cell = drawn.places.cells[name, *((lane, 0) if name == "token" and dataflow != "dot_product" else (0, lane))]
        for cycle in range(40 - distance):
            assert states[cycle][slot][1] == states[cycle + distance][cell][1]


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_overflows_flash_where_they_happen(dataflow):
    step = step_of(dataflow, accumulators__bits=15)
    run, drawn = step.run(), GridScene(step, (0, 100))
    found = (run.events.cycle + run.origin, run.events.row, run.events.column)
    events = list(zip(*(column.tolist() for column in found), strict=True))
    assert events
    for cycle, state in enumerate(drawn.scene.states()):
        now = {(row, column) for when, row, column in events if when == cycle}
        pes = {place[1:] for place, slot in drawn.places.cells.items() if place[0] == "flash" and state[slot] != HIDDEN}
        lanes = {number for number, lane in enumerate(drawn.places.lanes) if state[lane.flash] != HIDDEN}
        assert pes == {place for place in now if min(place) >= 0}
        assert lanes == {max(place) for place in now if min(place) < 0}


def test_the_requantizer_s_lanes_show_accumulators_and_outputs():
    step = step_of(requantizer__latency_cycles=2)
    total = step_clocks(step)
    drawn = GridScene(step, (total, total + requantizer_clocks(step)))
    held, outputs = step.run().held.reshape(-1), step.outputs.reshape(-1)
    for cycle, state in enumerate(drawn.scene.states()):
        for lane, (reads, writes) in enumerate(drawn.places.requantizer):
            place, made = 4 * cycle + lane, 4 * (cycle - 2) + lane
            assert state[reads][1] == (str(held[place]) if place < held.size else "")
            assert state[writes][1] == (str(outputs[made]) if 0 <= made < outputs.size else "")


def test_a_gif_shows_every_clock_and_starts_over(tmp_path):
    path, step = tmp_path / "grid.gif", step_of("dot_product", rows=2, columns=2)
    assert write_animation(step, path, clocks=(10, 30)) == (10, 30)
    picture = Image.open(path)
    assert picture.info["loop"] == 0
    assert picture.n_frames == 19 * 3 + 1  # two pictures on the way to each next clock
    times = []
    for frame in range(picture.n_frames):
        picture.seek(frame)
        times.append(picture.info["duration"])
    assert sum(times) == 20 * 700 + 1000
    assert len(picture.convert("RGB").getcolors(10**6)) > 20


def test_a_gif_in_which_very_much_moves_has_no_pictures_in_between(tmp_path, monkeypatch):
    monkeypatch.setattr(animation, "_MOVED", 400)
    write_animation(step_of("dot_product", rows=2, columns=2), tmp_path / "grid.gif", clocks=(10, 30))
    assert Image.open(tmp_path / "grid.gif").n_frames == 20


def test_left_to_itself_each_kind_of_file_shows_some_clocks():
    step = step_of("output_stationary", sizes=(40, 200, 16))
    middle = step_clocks(step) // 2
    found = [animated_clocks(step, Path(name), None) for name in ("a.gif", "a.html", "a.png")]
    assert found == [(0, 60), (0, 240), (middle, middle + 1)]


def test_a_page_needs_nothing_else_and_holds_all_frames(tmp_path):
    path, step = tmp_path / "grid.html", step_of()
    total = step_clocks(step) + requantizer_clocks(step)
    assert write_animation(step, path) == (0, total)
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|//cdn|<link|src=|@import|url\(", page)
    scene = json.loads(re.search(r'<script type="application/json" id="scene">(.*?)</script>', page)[1])
    assert (len(scene["frames"]), scene["first"], scene["cursor"]["clocks"]) == (total, 0, total)
    drawn = grid_scene(step, clocks=(0, total))
    assert [{slot: (paint, text) for slot, paint, text in frame} for frame in scene["frames"]] == list(drawn.frames)
    assert len(scene["slots"]) == len(drawn.slots)
    assert all(-1 <= paint < len(scene["paints"]) for frame in scene["frames"] for _, paint, _ in frame)
    assert "<title>net, fc, tile 0 of 1 on whitepaper_4x4</title>" in page
    assert "Operands: random integers of seed 0, at the layer's widths." in html.unescape(page)


def test_a_name_cannot_end_the_page_s_script(tmp_path):
    step = step_of()
    object.__setattr__(step, "layer", "</script><script>alert(1)</script>")
    write_animation(step, tmp_path / "grid.html", clocks=(0, 2))
    assert "<script>alert" not in (tmp_path / "grid.html").read_text(encoding="utf-8")


def test_a_png_is_one_clock(tmp_path):
    step = step_of()
    middle = step_clocks(step) // 2
    assert write_animation(step, tmp_path / "grid.png") == (middle, middle + 1)
    assert write_animation(step, tmp_path / "other.png", clocks=(7, 20)) == (7, 8)
    scene = grid_scene(step, clocks=(7, 8))
    picture = Image.open(tmp_path / "other.png")
    assert picture.size == (2 * scene.width, 2 * scene.height)
    assert len(picture.convert("RGB").getcolors(10**6)) > 100


@pytest.mark.parametrize("suffix", ["gif", "html", "png"])
def test_equal_steps_give_equal_files(suffix, tmp_path):
    for name in ("one", "two"):
        write_animation(step_of("dot_product"), tmp_path / f"{name}.{suffix}", clocks=(5, 7))
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


def test_of_a_large_grid_a_corner_is_shown_and_said(tmp_path):
    step = step_of(rows=40, columns=24, sizes=(40, 32, 32))
    write_animation(step, tmp_path / "grid.html", clocks=(0, 3))
    assert "Of 40 x 24 PEs the first 16 rows and 16 columns are shown." in (tmp_path / "grid.html").read_text()
    drawn = GridScene(step, (0, 3))
    assert {place[1:] for place in drawn.places.cells} == set(np.ndindex(16, 16))
    assert "only the first 16 x 16 of 40 x 24 PEs are shown" in {text for _, text in drawn.scene.frames[0].values()}


def test_several_pairs_in_a_pe_are_said(tmp_path):
    step = step_of(bits=4, pe_grid__precision={"kind": "bit_fusion"})
    write_animation(step, tmp_path / "grid.html", clocks=(0, 3))
    text = (tmp_path / "grid.html").read_text(encoding="utf-8")
    assert "A PE works on 4 pairs of operands at once; the first is shown." in text


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("size", [4, 16])
def test_nothing_lies_outside_the_picture_or_is_too_small_to_read(dataflow, size):
    scene = grid_scene(step_of(dataflow, rows=size, columns=size, sizes=(40, 32, 32)), clocks=(15, 35))
    for slot in scene.slots:
        assert 0 <= slot.x <= slot.x + slot.width <= scene.width
        assert 0 <= slot.y <= slot.y + slot.height <= scene.height
    shown = set()
    for state in scene.states():
        shown |= {(slot, scene.paints[paint].is_bold, text)
                  for slot, (paint, text) in zip(scene.slots, state, strict=True) if text}
    for slot, is_bold, text in shown:
        size = text_size(slot, text, is_bold=is_bold)
        assert size >= 6.5
        assert font_of(20, is_bold).getlength(text) * size / 20 <= slot.width, text


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_what_goes_somewhere_arrives_where_it_stands_in_the_next_clock(dataflow):
    """The place of a cell, moved by its way, is the same place of the next cell."""
    drawn = GridScene(step_of(dataflow), (0, 2))
    slots = drawn.scene.slots
    for (name, row, column), number in drawn.places.cells.items():
        slot = slots[number]
        following = drawn.places.cells.get((name, row + bool(slot.move[1]), column + bool(slot.move[0])))
        if slot.moves and following is not None:
            assert (slot.x + slot.move[0], slot.y + slot.move[1]) == pytest.approx((slots[following].x, slots[following].y))
        assert slot.leaves == (slot.moves and following is None)


def test_the_size_that_is_told_beforehand_is_about_right(tmp_path):
    step = step_of()
    for suffix, clocks in (("gif", (20, 28)), ("html", (0, 100)), ("png", (20, 21))):
        path = tmp_path / f"grid.{suffix}"
        write_animation(step, path, clocks=clocks)
        assert 0.4 < animation_bytes(step, path, clocks) / path.stat().st_size < 2.5


@pytest.mark.parametrize(("name", "clocks", "problem"), [
    ("grid.mp4", None, "grid.mp4: expected a file that ends in .gif, .html or .png, got .mp4"),
    ("grid", None, "grid: expected a file that ends in .gif, .html or .png, got no ending"),
    ("grid.html", (210, 220), "clocks: expected a first and an end within the step's 0:TOTAL, got 210:220"),
    ("grid.html", (20, 10), "clocks: expected a first and an end within the step's 0:TOTAL, got 20:10"),
])
def test_what_cannot_be_shown_is_refused_in_one_line(name, clocks, problem):
    step = step_of()
    with pytest.raises(AccelsimError) as caught:
        write_animation(step, name, clocks=clocks)
    assert str(caught.value) == problem.replace("TOTAL", str(step_clocks(step) + requantizer_clocks(step)))


def test_a_gif_of_very_many_clocks_is_refused(tmp_path):
    step = step_of("output_stationary", sizes=(40, 200, 16))
    with pytest.raises(AccelsimError) as caught:
        write_animation(step, tmp_path / "grid.gif", clocks=(0, 601))
    assert MOST_GIF_CLOCKS == 600
    assert str(caught.value) == ("clocks: expected at most 600 clock cycles for a .gif, got 601; an .html takes more")


def test_a_folder_in_the_file_s_place_is_refused(tmp_path):
    (tmp_path / "grid.html").mkdir()
    with pytest.raises(OutputError) as caught:
        write_animation(step_of(), tmp_path / "grid.html", clocks=(0, 2))
    assert str(caught.value) == f"{tmp_path}/grid.html: expected a file to write to, got a folder"


def test_a_scene_s_states_follow_its_frames():
    scene = Scene("", 1, 1, [], [Slot(0, 0, 1, 1)] * 2, [{0: (0, "a"), 1: (1, "b")}, {}, {0: HIDDEN}], range(3), None)
    assert scene.states() == [[(0, "a"), (1, "b")], [(0, "a"), (1, "b")], [HIDDEN, (1, "b")]]


def test_a_picture_of_bytes_is_a_gif(tmp_path):
    write_animation(step_of("dot_product"), tmp_path / "grid.gif", clocks=(3, 5))
    assert Image.open(io.BytesIO((tmp_path / "grid.gif").read_bytes())).format == "GIF"
