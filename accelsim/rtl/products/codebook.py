"""Weights that are places in a table: decoded where they enter, multiplied as any others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from accelsim.hardware.precision_codebook import CodebookPrecision
from accelsim.rtl.number import Number
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.arithmetic import OPERAND_BITS, check_bits
from accelsim.rtl.products.mode import Mode
from accelsim.rtl.products.multiplier import FixedArithmetic
from accelsim.rtl.products.operand import Operand
from accelsim.rtl.registers import shape_of


class Codebook(Part):
    """The table of one lane of weights; all lanes are written together.

    Ports
    -----
    write : In, 1 bit; address, entry : In
        Store a weight of the table.
    index : In
        A place in the table, and above it whether there is a weight: without, it is 0.
    weight : Out
        What stands there, in the same cycle.
    """

    module_name = "codebook"

    def __init__(self, arithmetic: CodebookArithmetic, *, hierarchy: Hierarchy | None = None) -> None:
        self._arithmetic = arithmetic
        entry = shape_of(arithmetic.weight.whole)
        super().__init__({
            "write": In(1), "address": In(arithmetic.place_bits), "entry": In(entry),
            "index": In(shape_of(arithmetic.weight.port)), "weight": Out(entry)}, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, arithmetic = Module(), self._arithmetic
        entries = memory.Memory(shape=shape_of(arithmetic.weight.whole), depth=1 << arithmetic.place_bits, init=[])
        m.submodules.entries = entries
        write, read = entries.write_port(), entries.read_port(domain="comb")
        m.d.comb += [write.en.eq(self.write), write.addr.eq(self.address), write.data.eq(self.entry),
                     read.addr.eq(self.index), self.weight.eq(Mux(self.index[arithmetic.place_bits], read.data, 0))]
        return m


@dataclass(frozen=True)
class CodebookArithmetic(FixedArithmetic):
    """A table of entries, each of one or several weights, and multipliers as wide as they are."""

    @property
    def _kind(self) -> CodebookPrecision:
        assert isinstance(self.precision, CodebookPrecision)
        return self.precision

    @property
    def place_bits(self) -> int:
        """Of a weight's place: its entry, and which of the entry's weights it is in the low bits."""
        return self._kind.index_bits + (self._kind.vector_length - 1).bit_length()

    @property
    def weight_entries(self) -> Number:
        """What stands in the table."""
        return Number(self._kind.entry_bits, self.has_signed_weights)

    @cached_property
    def weight(self) -> Operand:
        number = self.weight_entries
        return Operand(Number(self.place_bits + 1, False), number, (self.modes[0].weight_form,), number.is_signed)

    def weight_number(self, mode: Mode) -> Number:
        return self.weight_entries

    def check(self) -> None:
        kind = self._kind
        check_bits("entry_bits", kind.entry_bits, least=OPERAND_BITS[0])
        check_bits("input_bits", kind.input_bits, least=OPERAND_BITS[0])

    def weight_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        """Words of places in the table."""
        return np.asarray(values[..., 0] | (used[..., 0] > 0).astype(np.int64) << self.place_bits, dtype=object)

    def places(self, entries: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places of the weights of some entries, (..., K): each entry has its own for every of its weights.

        Parameters
        ----------
        entries : (..., ceil(K / weights of an entry)).
        """
        length = self._kind.vector_length
        within = np.arange(length, dtype=np.int64)
        places = entries[..., None] << (length - 1).bit_length() | within
        return places.reshape(*entries.shape[:-1], -1)

    @property
    def vector_length(self) -> int:
        """Weights of an entry."""
        return self._kind.vector_length

    def wording(self) -> list[str]:
        return [f"a weight is a place in the table of {1 << self.place_bits} entries, bits {self.place_bits - 1} to 0; bit "
                f"{self.place_bits} says that there is one"]
