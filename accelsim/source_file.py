"""The files that descriptions and networks are read from."""

from __future__ import annotations

from pathlib import Path

from accelsim.errors import AccelsimError

#: A text is some kilobytes; whoever passes a model file by mistake shall not wait for it to be parsed.
MOST_TEXT_BYTES = 2**20


def read_bytes(path: Path, *, raises: type[AccelsimError], most: int = -1) -> bytes:
    """The content of a file, or its first `most` bytes.

    Raises
    ------
    AccelsimError : as `raises` says: no such file, a folder, a file that may not be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(most)
    except FileNotFoundError:
        raise raises("expected a file, found none of that name", file=str(path)) from None
    except IsADirectoryError:
        raise raises("expected a file, got a folder", file=str(path)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise raises(f"expected a readable file, got: {reason}", file=repr(str(path))[1:-1]) from None


def read_text(path: Path, *, raises: type[AccelsimError]) -> str:
    """The content of a file of text in UTF-8, with or without a byte order mark.

    Raises
    ------
    AccelsimError : as `raises` says: what `read_bytes` raises, more than 1 MiB, other bytes than UTF-8.
    """
    content = read_bytes(path, raises=raises, most=MOST_TEXT_BYTES + 1)
    if len(content) > MOST_TEXT_BYTES:
        raise raises("expected text of at most 1 MiB, got a larger file", file=str(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise raises(f"expected UTF-8 text, got the byte 0x{byte:02x}", file=str(path), line=line) from None
