"""A reader of FlatBuffers by field numbers that never leaves the file and never reads more than the file explains.

A file is a tree of tables. A table is a position; the 32-bit number there leads backwards to its vtable, which holds the
vtable's size, the table's size, and for each field its distance from the table, 0 where the field keeps its default.
Strings, vectors and tables are stored as a distance from the field to them. Numbers are little-endian.

Nothing in a file says that two distances may not lead to the same place, so that a few corrupt bytes can make a small file
describe gigabytes. What is read in all is therefore limited to a multiple of the file's size: a sound file stores what it
holds once or a few times.

Source: google/flatbuffers, `docs/source/internals.md`.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError

# Measured: real models read each byte once. Tools that store equal vectors once stay far below this.
_LARGEST_READING = 16

_SCALARS = {"int8": "<b", "uint8": "<B", "bool": "<B", "uint16": "<H", "int32": "<i", "uint32": "<I", "uint64": "<Q",
            "float32": "<f"}


class FlatBuffer:
    """The bytes of a file, and how much of them has been read.

    Parameters
    ----------
    content : the whole file.
    path : for messages.
    """

    def __init__(self, content: bytes, path: Path) -> None:
        self.content = content
        self.path = path
        self._left = _LARGEST_READING * len(content)

    @property
    def root(self) -> Table:
        return Table(self, self.scalar(0, "uint32"))

    def error(self, problem: str) -> WorkloadError:
        return WorkloadError(f"not a TFLite model, or a truncated one: {problem}", file=str(self.path))

    def require(self, position: int, size: int) -> None:
        """That `size` bytes from `position` on are in the file.

        Raises
        ------
        WorkloadError : they are not, or more has been read than a file of this size can mean.
        """
        if position < 0 or position + size > len(self.content):
            raise self.error(f"expected {size} bytes at {position}, got a file of {len(self.content)} bytes")
        self._left -= size
        if self._left < 0:
            raise self.error(f"expected at most {_LARGEST_READING} times its size to read, got more (it refers to the same "
                             "bytes over and over)")

    def scalar(self, position: int, kind: str) -> Any:
        """One number of a kind of `numpy` ("int32"), or a truth value ("bool")."""
        form = _SCALARS[kind]
        self.require(position, struct.calcsize(form))
        value = struct.unpack_from(form, self.content, position)[0]
        return bool(value) if kind == "bool" else value

    def vector(self, position: int, kind: str) -> NDArray[Any]:
        """The numbers of the vector at `position`, without a copy and read-only."""
        length = self.scalar(position, "uint32")
        dtype = np.dtype(kind).newbyteorder("<")
        self.require(position + 4, length * dtype.itemsize)
        return np.frombuffer(self.content, dtype, count=length, offset=position + 4)


class Table:
    """One table: its fields by their numbers."""

    def __init__(self, buffer: FlatBuffer, position: int) -> None:
        self.buffer = buffer
        self._position = position
        self._vtable = position - buffer.scalar(position, "int32")
        self._vtable_size = buffer.scalar(self._vtable, "uint16")

    def _place(self, field: int) -> int | None:
        entry = 4 + 2 * field
        if entry + 2 > self._vtable_size:
            return None
        distance = self.buffer.scalar(self._vtable + entry, "uint16")
        return self._position + distance if distance else None

    def _target(self, field: int) -> int | None:
        place = self._place(field)
        return None if place is None else place + self.buffer.scalar(place, "uint32")

    def number(self, field: int, kind: str, default: Any = 0) -> Any:
        """A number or truth value, `default` where it is left out."""
        place = self._place(field)
        return default if place is None else self.buffer.scalar(place, kind)

    def has(self, field: int) -> bool:
        return self._place(field) is not None

    def table(self, field: int) -> Table | None:
        target = self._target(field)
        return None if target is None else Table(self.buffer, target)

    def tables(self, field: int) -> list[Table]:
        """The tables of a vector of tables, none where it is left out."""
        target = self._target(field)
        if target is None:
            return []
        distances = self.buffer.vector(target, "uint32").tolist()
        return [Table(self.buffer, target + 4 + 4 * index + distance) for index, distance in enumerate(distances)]

    def vector(self, field: int, kind: str) -> NDArray[Any] | None:
        """The numbers of a vector; None where it is left out."""
        target = self._target(field)
        return None if target is None else self.buffer.vector(target, kind)

    def integers(self, field: int) -> tuple[int, ...]:
        """A vector of int32, () where it is left out."""
        found = self.vector(field, "int32")
        return () if found is None else tuple(found.tolist())

    def text(self, field: int) -> str:
        """A string, "" where it is left out; U+FFFD for what is no printable UTF-8, so that messages keep to a line."""
        found = self.vector(field, "uint8")
        text = "" if found is None else found.tobytes().decode("utf-8", errors="replace")
        return text if text.isprintable() else "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
