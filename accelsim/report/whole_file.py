"""A large file that is written piece by piece, and gets its name when it is whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from accelsim.errors import OutputError
from accelsim.report.writer import check_file_writable


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Where its bytes go; under its name there is the old content or, if nothing went wrong inside, all of the new one.

    Raises
    ------
    OutputError : it cannot be written.
    """
    check_file_writable(path)
    try:
        if path.exists() and not path.is_file():  # a terminal, a pipe: there is nothing to keep whole
            with path.open("wb") as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=".accelsim-", dir=path.parent))
        try:
            with (hidden / path.name).open("wb") as file:
                yield file
            os.replace(hidden / path.name, path)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", file=str(path)) from None
