"""What a command prints: results on stdout, progress and remarks on stderr."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

#: Width of tables that go to a file or a pipe.
FILE_WIDTH = 120


def print_text(text: str) -> None:
    """A line of the result, as it is. A reader who has had enough (``| head``) ends the command quietly."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def print_json(document: Any) -> None:
    """The result for a program."""
    print_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(build: Callable[[int], Table]) -> None:
    """A table made for the width at hand; without colours where stdout is not a terminal."""
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    target = io.StringIO()
    width = Console().width if is_terminal else FILE_WIDTH
    console = Console(file=target, force_terminal=is_terminal, width=width, highlight=False, markup=False, emoji=False)
    console.print(build(width))
    print_text("\n".join(line.rstrip() for line in target.getvalue().rstrip().split("\n")))


def print_remark(text: str) -> None:
    """A line beside the result."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress_bar(title: str, *, shows_time_left: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr, told (done, all, name); silent where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, count, name: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        *([TextColumn("left"), TimeRemainingColumn()] if shows_time_left else []),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(title), total=None)

        def tell(done: int, count: int, name: str) -> None:
            bar.update(task, completed=done, total=count, description=f"{escape(title)}  {escape(name[-28:])}")

        yield tell
