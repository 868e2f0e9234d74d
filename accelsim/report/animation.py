"""A compute step of a layer as a moving picture: operands marching through the PE grid, clock by clock.

>>> from accelsim import load_accelerator, load_network
>>> from accelsim.report.shown_step import shown_step
>>> step = shown_step(load_accelerator("whitepaper_4x4"), load_network("mlperf_tiny_dscnn"), layer="conv1")
>>> import tempfile
>>> from pathlib import Path
>>> with tempfile.TemporaryDirectory() as folder:
...     write_animation(step, Path(folder) / "grid.html", clocks=(0, 20))
...     print((Path(folder) / "grid.html").read_text().splitlines()[0])
(0, 20)
<!doctype html>
"""

from __future__ import annotations

from pathlib import Path

from accelsim.errors import AccelsimError
from accelsim.machine.stepped.layer_step import LayerStep
from accelsim.report.grid_film import MOST_PES
from accelsim.report.grid_places import pitch_of
from accelsim.report.grid_scene import grid_scene
from accelsim.report.waveform import Clocks, checked_clocks, requantizer_clocks, step_clocks
from accelsim.whole_file import write_atomically

#: Files that can be written, and the clock cycles that each shows if nobody asks for more.
DEFAULT_CLOCKS = {".gif": 60, ".html": 240, ".png": 1}

#: Most clocks of a GIF, whose pictures are all in memory before it is written.
MOST_GIF_CLOCKS = 600

#: Pictures between two clocks of a GIF, at most; and how many numbers may move in all of it, so that it stays small.
_MOST_BETWEEN, _MOVED = 2, 40_000

#: How long a clock is shown, milliseconds: with pictures in between, and without.
_SLOW, _FAST = 700, 450


def write_animation(step: LayerStep, path: str | Path, *, clocks: Clocks | None = None) -> Clocks:
    """Write a step as an animated picture (.gif), as a page that plays it (.html), or one clock of it (.png).

    In each PE stand the operand that passes it, the one that stays, the one loaded for the next fold, and its sum; in front
    of the grid the next operands; behind it the accumulators, then the requantizer's lanes; below it all folds on the axis
    of time. An overflow flashes. Of a grid of more than 16 rows or columns a corner is shown. Equal steps give equal bytes.

    Parameters
    ----------
    clocks : that are shown, counted from 0: first the grid's, then the requantizer's; left out, the first 60 of a .gif and
        the first 240 of an .html. A .png shows the first of them, or the one in the middle of the grid's.

    Returns
    -------
    The clocks that are shown.

    Raises
    ------
    OutputError : the file cannot be written.
    AccelsimError : a file of another kind, clocks that the step does not have, too many for a .gif.
    """
    path = Path(path)
    check_suffix(path)
    suffix, shown = path.suffix.lower(), animated_clocks(step, path, clocks)
    scene = grid_scene(step, clocks=shown)
    if suffix == ".html":
        from accelsim.report.scene_player import player_page

        content = player_page(scene, remarks=_remarks(step, shown)).encode()
    else:
        from accelsim.report import scene_picture

        if suffix == ".png":
            content = scene_picture.png(scene, 0)
        else:
            between = _between(step, shown)
            content = scene_picture.gif(scene, milliseconds=_SLOW if between else _FAST, between=between)
    write_atomically(path, content)
    return shown


def animated_clocks(step: LayerStep, path: Path, clocks: Clocks | None) -> Clocks:
    """The clocks that a file of this kind shows; errors as of `write_animation`."""
    suffix, total = path.suffix.lower(), step_clocks(step) + requantizer_clocks(step)
    if clocks is None:
        first = step_clocks(step) // 2 if suffix == ".png" else 0
        return first, min(total, first + DEFAULT_CLOCKS[suffix])
    first, end = checked_clocks(step, clocks)
    if suffix == ".gif" and end - first > MOST_GIF_CLOCKS:
        raise AccelsimError(f"expected at most {MOST_GIF_CLOCKS} clock cycles for a .gif, got {end - first}; an .html takes "
                            "more", field="clocks")
    return (first, first + 1) if suffix == ".png" else (first, end)


def animation_bytes(step: LayerStep, path: Path, clocks: Clocks) -> int:
    """Size of the file, about: from how many numbers move, and how large they are drawn.

    Measured on grids of 4 x 4 to 16 x 16 PEs: a number of the largest size takes 650 bytes of a GIF in the picture of a
    clock and 380 in one on the way to the next, and 16 bytes of a page in any size.
    """
    moved, suffix = _moved(step, clocks), path.suffix.lower()
    if suffix == ".html":
        return 16 * moved + 60_000
    grid = step.accelerator.pe_grid
    area = (pitch_of(min(max(grid.rows, grid.columns), MOST_PES)) / pitch_of(1)) ** 2
    kinds = 1 / 3 if grid.dataflow == "dot_product" else 1
    return int(kinds * area * moved * (650 + 380 * _between(step, clocks))) + 60_000


def _between(step: LayerStep, clocks: Clocks) -> int:
    """Pictures of a GIF between two clocks."""
    return min(_MOST_BETWEEN, max(0, _MOVED // _moved(step, clocks) - 1))


def _moved(step: LayerStep, clocks: Clocks) -> int:
    """Numbers that move by one PE, at most: three in a PE and clock."""
    grid = step.accelerator.pe_grid
    return 3 * min(grid.rows, MOST_PES) * min(grid.columns, MOST_PES) * max(1, clocks[1] - clocks[0])


def check_suffix(path: Path) -> None:
    """Refuse a file that is none of the kinds that can be written."""
    if path.suffix.lower() not in DEFAULT_CLOCKS:
        *others, last = DEFAULT_CLOCKS
        raise AccelsimError(f"expected a file that ends in {', '.join(others)} or {last}, got {path.suffix or 'no ending'}",
                            file=str(path))


def _remarks(step: LayerStep, clocks: Clocks) -> list[str]:
    total = step_clocks(step) + requantizer_clocks(step)
    grid, cost = step.accelerator.pe_grid, step.cost
    found = [f"Operands: {step.source}." + (f" {step.remark[0].upper()}{step.remark[1:]}." if step.remark else "")]
    if clocks != (0, total):
        found.append(f"Clock cycles {clocks[0]:,} to {clocks[1] - 1:,} of {total:,} are shown.")
    if max(grid.rows, grid.columns) > MOST_PES:
        found.append(f"Of {grid.rows} x {grid.columns} PEs the first {min(grid.rows, MOST_PES)} rows and "
                     f"{min(grid.columns, MOST_PES)} columns are shown.")
    parts = [(step.layout.slots, "pairs of operands"), (grid.pixels, "positions"), (cost.channels, "channels")]
    several = [f"{count} {what}" for count, what in parts if count > 1]
    if several:
        found.append(f"A PE works on {' and '.join(several)} at once; the first is shown.")
    return found
