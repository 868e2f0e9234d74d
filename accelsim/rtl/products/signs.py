"""Weights of one bit and of three values: a weight chooses between adding, subtracting and, of three values, neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import Out
from numpy.typing import NDArray

from accelsim.errors import HardwareError
from accelsim.rtl.number import Number
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.arithmetic import Arithmetic, check_bits
from accelsim.rtl.products.mode import Mode
from accelsim.rtl.products.multiplier import entering_inputs, product_ports
from accelsim.rtl.products.operand import Operand
from accelsim.rtl.registers import vector


class Xnor(Part):
    """``product = +1 where weight and input agree, else -1``, of single bits that stand for -1 (0) and +1 (1).

    Ports
    -----
    weight : In, 2 bits
        The weight, and above it whether there is one: without, the product is 0.
    factor : In, 1 bit
        The input.
    products : Out, vector of one
        In the same cycle.
    """

    module_name = "xnor_product"
    is_clocked = False

    def __init__(self, arithmetic: Arithmetic, *, hierarchy: Hierarchy | None = None) -> None:
        super().__init__(product_ports(arithmetic), hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        differs, is_used = Signal(1, name="differs"), self.weight[1]
        m.d.comb += [differs.eq(self.weight[0] ^ self.factor[0]),
                     self.products[0].eq(Cat(is_used, is_used & differs).as_signed())]
        return m


class CountedXnor(Part):
    """Whether weight and input agree, for a popcount behind it: ``sum of the products = 2 agreements - inputs``.

    Ports
    -----
    weight : In, 1 bit
        The weight.
    factor : In, 2 bits
        The input, and above it whether there is one: without, it does not count.
    products : Out, vector of one
        1 where they agree, in the same cycle.
    """

    module_name = "counted_xnor"
    is_clocked = False

    def __init__(self, arithmetic: Arithmetic, *, hierarchy: Hierarchy | None = None) -> None:
        super().__init__({**product_ports(arithmetic), "products": Out(vector(1, 1))}, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.products[0].eq(~(self.weight[0] ^ self.factor[0]) & self.factor[1])
        return m


class SignedPass(Part):
    """``product = input, -input or 0``, as two bits of the weight say.

    Ports
    -----
    weight : In, 2 bits
        Of three values, in two's complement: bit 0 lets the input through, bit 1 negates it. Of one bit: bit 0 says + or -,
        bit 1 whether there is a weight.
    factor : In
        The input.
    products : Out, vector of one
        In the same cycle.
    """

    module_name = "signed_pass"
    is_clocked = False

    def __init__(self, arithmetic: Arithmetic, *, hierarchy: Hierarchy | None = None) -> None:
        self._is_ternary = isinstance(arithmetic, TernaryArithmetic)
        super().__init__(product_ports(arithmetic), hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        passes, negates = (self.weight[0], self.weight[1]) if self._is_ternary else (self.weight[1], ~self.weight[0])
        m.d.comb += self.products[0].eq(passed_or_negated(m, self.factor, passes, negates))
        return m


def passed_or_negated(m: Module, value: Any, passes: Any, negates: Any) -> Any:
    """The value, its negative, or 0: an AND and an XOR a bit, and a carry."""
    width = len(value) + (0 if value.shape().signed else 1)
    passed, carry = Signal(signed(width), name="passed"), Signal(1, name="carry")
    m.d.comb += [passed.eq(Mux(passes, value, 0)), carry.eq(passes & negates)]
    return (passed ^ carry.replicate(width).as_signed()) + carry


@dataclass(frozen=True)
class _SignArithmetic(Arithmetic):
    """What weights of one bit and of three values share."""

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        weight_bits, input_bits = self.precision.native_bits
        return (Mode(weight_bits, input_bits),)

    @cached_property
    def weight(self) -> Operand:
        word = Number(2, False)
        return Operand(word, word, (self.modes[0].weight_form,), False)

    @cached_property
    def factor(self) -> Operand:
        return entering_inputs(self, self.modes[0])

    def input_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return values[..., 0].astype(object)

    def check(self) -> None:
        check_bits("input_bits", self.modes[0].input_bits)
        check_signed_weights(self)


@dataclass(frozen=True)
class BinaryArithmetic(_SignArithmetic):
    """Weights -1 and +1 by inputs of several bits."""

    @property
    def part(self) -> type[Part]:
        return SignedPass

    def weight_values(self, mode: Mode) -> Sequence[int]:
        return -1, 1

    def weight_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return np.asarray((values[..., 0] > 0) + 2 * (used[..., 0] > 0), dtype=object)

    def wording(self) -> list[str]:
        return ["a weight is +1 (bit 0 is 1) or -1 (bit 0 is 0); bit 1 says that there is one"]


@dataclass(frozen=True)
class XnorArithmetic(BinaryArithmetic):
    """Weights and inputs -1 and +1, whose products PEs add to their sums."""

    @property
    def part(self) -> type[Part]:
        return Xnor

    @cached_property
    def factor(self) -> Operand:
        word = Number(1, False)
        return Operand(word, word, (self.modes[0].input_form,), True)

    def input_values(self, mode: Mode) -> Sequence[int]:
        return -1, 1

    @cached_property
    def step_number(self) -> Number:
        return Number(2, True)

    def input_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return (values[..., 0] > 0).astype(object)

    def wording(self) -> list[str]:
        return [*super().wording(), "an input is +1 (1) or -1 (0)"]


@dataclass(frozen=True)
class CountedArithmetic(XnorArithmetic):
    """The same behind whose XNORs a tree counts the agreements of a row."""

    @property
    def part(self) -> type[Part]:
        return CountedXnor

    @cached_property
    def weight(self) -> Operand:
        word = Number(1, False)
        return Operand(word, word, (self.modes[0].weight_form,), False)

    @cached_property
    def factor(self) -> Operand:
        word = Number(2, False)
        return Operand(word, word, (self.modes[0].input_form,), True)

    @cached_property
    def pass_number(self) -> Number:
        return Number(1, False)

    def weight_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return (values[..., 0] > 0).astype(object)

    def input_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return np.asarray((values[..., 0] > 0) + 2 * (used[..., 0] > 0), dtype=object)

    def wording(self) -> list[str]:
        return ["a weight is +1 (1) or -1 (0)",
                "an input is +1 (bit 0 is 1) or -1 (bit 0 is 0); bit 1 says that there is one"]


@dataclass(frozen=True)
class TernaryArithmetic(_SignArithmetic):
    """Weights -1, 0 and +1 in two's complement."""

    @property
    def part(self) -> type[Part]:
        return SignedPass

    def weight_values(self, mode: Mode) -> Sequence[int]:
        return -1, 0, 1

    def weight_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return np.asarray(values[..., 0] & 3, dtype=object)

    def wording(self) -> list[str]:
        return ["a weight is -1, 0 or 1 in two's complement"]


def check_signed_weights(arithmetic: Arithmetic) -> None:
    """Refuse unsigned weights where the code has the sign."""
    if not arithmetic.has_signed_weights:
        raise HardwareError(f"expected signed weights in RTL of {arithmetic.precision.kind} PEs, whose codes have a sign, "
                            "got unsigned ones", field="pe_grid.precision.kind")
