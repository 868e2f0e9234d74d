"""Files that are whole or not there: under a name stands the old content or the new one, never a part."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from accelsim.errors import OutputError


def check_writable(folder: Path) -> None:
    """Refuse a target that cannot become a folder of files, before anything long begins.

    Raises
    ------
    OutputError : it is a file, a parent is a file, or nothing may be written there.
    """
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise OutputError(f"expected a folder to write to, got the file {place}", file=str(folder))
    with as_output_error(folder):
        os.rmdir(tempfile.mkdtemp(prefix=".accelsim-", dir=place))


def check_file_writable(path: Path) -> None:
    """The same for a single file; folders that are missing above it are made when it is written."""
    if path.is_dir():
        raise OutputError("expected a file to write to, got a folder", file=str(path))
    if not path.exists() or path.is_file():
        check_writable(path.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Write one file.

    Raises
    ------
    OutputError : it cannot be written.
    """
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Where the bytes of a large file go, piece by piece; it gets its name if nothing went wrong inside.

    Raises
    ------
    OutputError : it cannot be written.
    """
    check_file_writable(path)
    with as_output_error(path):
        if path.exists() and not path.is_file():  # a terminal, a pipe: there is nothing to keep whole
            with path.open("wb") as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with hidden_folder(path.parent) as folder:
            with (folder / path.name).open("wb") as file:
                yield file
            os.replace(folder / path.name, path)


@contextmanager
def hidden_folder(parent: Path) -> Iterator[Path]:
    """A folder that is gone afterwards, on the file system of its neighbours."""
    folder = Path(tempfile.mkdtemp(prefix=".accelsim-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def as_output_error(path: Path) -> Iterator[None]:
    """Tells in one line what the system refused.

    Raises
    ------
    OutputError : this line.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", file=str(path)) from None
