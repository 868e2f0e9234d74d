"""The files that networks are read from."""

from __future__ import annotations

from pathlib import Path

from accelsim.errors import WorkloadError


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises
    ------
    WorkloadError : no such file, a folder, an empty file, a file that may not be read.
    """
    if path.is_dir():
        raise WorkloadError("expected a file, got a folder", file=str(path))
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise WorkloadError("no such file", file=str(path)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise WorkloadError(f"cannot be read: {reason}", file=str(path)) from None
    if not content:
        raise WorkloadError("the file is empty", file=str(path))
    return content
