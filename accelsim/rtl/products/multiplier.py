"""One multiplier of a fixed size, for the kinds fixed and codebook."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from amaranth.hdl import Module, signed
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from accelsim.rtl.number import Number
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.arithmetic import OPERAND_BITS, Arithmetic, check_bits
from accelsim.rtl.products.mode import Mode
from accelsim.rtl.products.operand import Operand, plain
from accelsim.rtl.registers import shape_of, vector


def product_ports(arithmetic: Arithmetic) -> dict[str, Any]:
    """Ports of what multiplies one pair of operands: their digits in, a vector of one product out."""
    return {"weight": In(shape_of(arithmetic.weight.digits)), "factor": In(shape_of(arithmetic.factor.digits)),
            "products": Out(vector(signed(arithmetic.pass_number.bits), 1))}


class Multiplier(Part):
    """``product = weight * factor``.

    Ports
    -----
    weight, factor : In
        A weight, and an input.
    products : Out, vector of one
        In the same cycle.
    """

    module_name = "multiplier"
    is_clocked = False

    def __init__(self, arithmetic: Arithmetic, *, hierarchy: Hierarchy | None = None) -> None:
        super().__init__(product_ports(arithmetic), hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.products[0].eq(self.weight * self.factor)
        return m


@dataclass(frozen=True)
class FixedArithmetic(Arithmetic):
    """A multiplier of the described widths; narrower operands come sign-extended."""

    @property
    def part(self) -> type[Part]:
        return Multiplier

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        weight_bits, input_bits = self.precision.native_bits
        return (Mode(weight_bits, input_bits),)

    @cached_property
    def weight(self) -> Operand:
        mode = self.modes[0]
        return plain(self.weight_number(mode), mode.weight_form)

    @cached_property
    def factor(self) -> Operand:
        return entering_inputs(self, self.modes[0])

    def weight_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return values[..., 0].astype(object)

    def input_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return values[..., 0].astype(object)

    def check(self) -> None:
        for label, bits in zip(("weight_bits", "input_bits"), self.precision.native_bits, strict=True):
            check_bits(label, bits, least=OPERAND_BITS[0])


def entering_inputs(arithmetic: Arithmetic, mode: Mode) -> Operand:
    """Inputs of one width in one pass, which may enter the grid without their zero points."""
    port = arithmetic.input_number(mode)
    extra = arithmetic.zero_point_bits
    whole = Number(port.bits + extra, True) if extra else port
    return Operand(port, whole, (mode.input_form,), whole.is_signed)
