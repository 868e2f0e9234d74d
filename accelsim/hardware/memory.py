"""On-chip memory: one shared scratchpad, or buffers of their own for some operands."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.hardware.quantity import Count, Size, Spec
from accelsim.problem import quoted

Operand = Literal["weights", "inputs", "outputs"]
OPERANDS: tuple[Operand, ...] = ("weights", "inputs", "outputs")


#: Names become parts of dotted paths and of column names.
_BUFFER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


class Buffer(Spec):
    """One on-chip SRAM.

    The grid reads it at ``bytes_per_cycle * ports``; the DMA's fills and the requantizer's writes steal cycles from the
    same ports. Inside a layer each operand that lives here has a region of its own, set by the mapping.
    """

    capacity_bytes: Annotated[Size, Field(alias="capacity")]
    """Size ("256 KiB")."""
    holds: Annotated[tuple[Operand, ...], Field(min_length=1, strict=False)]
    """Operands that live here: any of weights, inputs, outputs. A scratchpad shared by all holds all three."""
    bytes_per_cycle: Count
    """Bytes that one port delivers a cycle (at least 1)."""
    ports: Count = 1
    """Accesses of that width that go on side by side: ports of a multi-ported memory, or banks (at least 1)."""
    double_buffered: bool = True
    """Whether a tile may be loaded or stored while another is worked on; a tile then has half of its region."""


class Memory(Spec):
    """The on-chip buffers by name; every operand lives in exactly one."""

    buffers: dict[str, Buffer]
    """Buffers by name (letters, digits, _): `scratchpad` holding all operands, or one per operand, or anything between."""

    @model_validator(mode="after")
    def _check_every_operand_has_one_home(self) -> Memory:
        for name in self.buffers:
            if not _BUFFER_NAME.fullmatch(name):
                raise ValueError(f"buffers: expected buffer names of letters, digits and _, got {quoted(name)}")
        homes: dict[Operand, list[str]] = {operand: [] for operand in OPERANDS}
        for name, buffer in self.buffers.items():
            for operand in buffer.holds:
                homes[operand].append(name)
        for operand, names in homes.items():
            if len(names) != 1:
                raise ValueError(f"buffers: expected exactly one buffer that holds {operand}, got "
                                 f"{', '.join(names) if names else 'none'}")
        return self

    def home(self, operand: Operand) -> str:
        """Name of the buffer that holds this operand."""
        return self._homes[operand]

    @cached_property
    def _homes(self) -> dict[Operand, str]:
        return {operand: name for name, buffer in self.buffers.items() for operand in buffer.holds}

    def buffer_of(self, operand: Operand) -> Buffer:
        return self.buffers[self.home(operand)]

    @property
    def capacity_bytes(self) -> int:
        return sum(buffer.capacity_bytes for buffer in self.buffers.values())

    @property
    def can_keep_activations(self) -> bool:
        """Whether one buffer holds inputs and outputs, so that an output can stay where the next layer reads it."""
        return self.home("inputs") == self.home("outputs")
