"""Weights that are powers of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from amaranth.hdl import Module, Signal
from numpy.typing import NDArray

from accelsim.hardware.precision_shift_add import ShiftAddPrecision
from accelsim.rtl.number import Number
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.arithmetic import OPERAND_BITS, Arithmetic, check_bits
from accelsim.rtl.products.mode import Mode
from accelsim.rtl.products.multiplier import entering_inputs, product_ports
from accelsim.rtl.products.operand import Operand
from accelsim.rtl.products.signs import check_signed_weights, passed_or_negated


class Shifter(Part):
    """``product = +-(input << exponent)``.

    Ports
    -----
    weight : In
        The exponent, above it the sign, above that whether there is a weight: without, the product is 0.
    factor : In
        The input.
    products : Out, vector of one
        In the same cycle.
    """

    module_name = "shifter"
    is_clocked = False

    def __init__(self, arithmetic: Arithmetic, *, hierarchy: Hierarchy | None = None) -> None:
        self._code_bits = arithmetic.modes[0].weight_bits
        super().__init__(product_ports(arithmetic), hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, bits = Module(), self._code_bits
        moved = self.factor << self.weight[:bits - 1]
        shifted = Signal(moved.shape(), name="shifted")
        m.d.comb += [shifted.eq(moved),
                     self.products[0].eq(passed_or_negated(m, shifted, self.weight[bits], self.weight[bits - 1]))]
        return m


@dataclass(frozen=True)
class ShiftArithmetic(Arithmetic):
    """A code of a sign and an exponent e stands for +-2^e, e from 0 to 2^(bits - 1) - 1."""

    @property
    def part(self) -> type[Part]:
        return Shifter

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        weight_bits, input_bits = self.precision.native_bits
        return (Mode(weight_bits, input_bits),)

    @cached_property
    def weight(self) -> Operand:
        word = Number(self.modes[0].weight_bits + 1, False)
        return Operand(word, word, (self.modes[0].weight_form,), False)

    @cached_property
    def factor(self) -> Operand:
        return entering_inputs(self, self.modes[0])

    def weight_values(self, mode: Mode) -> Sequence[int]:
        assert isinstance(self.precision, ShiftAddPrecision)
        powers = [1 << exponent for exponent in range(self.precision.shifts)]
        return [-power for power in reversed(powers)] + powers

    def weight_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        code = np.vectorize(lambda value, is_used: _code(int(value), mode.weight_bits) if is_used else 0, otypes=[object])
        return np.asarray(code(values[..., 0], used[..., 0]), dtype=object)

    def input_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return values[..., 0].astype(object)

    def check(self) -> None:
        check_bits("input_bits", self.modes[0].input_bits, least=OPERAND_BITS[0])
        check_signed_weights(self)

    def wording(self) -> list[str]:
        bits = self.modes[0].weight_bits
        return [f"a weight is +-2^e: bits {bits - 2} to 0 are e, bit {bits - 1} is 1 for a negative one, bit {bits} says "
                "that there is one"]


def _code(value: int, bits: int) -> int:
    """The word of a weight.

    >>> _code(4, 4), _code(-1, 4)
    (18, 24)
    """
    return abs(value).bit_length() - 1 | (value < 0) << bits - 1 | 1 << bits
