"""Operands bit by bit: of the weights, of the inputs, or of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from accelsim.errors import HardwareError
from accelsim.hardware.precision_bit_serial import BitSerialPrecision
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.arithmetic import OPERAND_BITS, Arithmetic, check_bits, packed_words
from accelsim.rtl.products.mode import Mode
from accelsim.rtl.products.multiplier import entering_inputs
from accelsim.rtl.products.operand import Operand, packed, plain
from accelsim.rtl.registers import shape_of, vector


class SerialProduct(Part):
    """``product = weight digit * input digit``; a digit is a few bits of an operand, or the whole of a parallel one.

    The highest digit of a signed operand has the sign. A digit of one bit lets the other operand through or not, and negates
    it where it is the sign: ANDs, XORs and a carry, no multiplier.

    Ports
    -----
    weight, factor : In
        The digits, or a whole operand.
    weight_top, input_top : In, 1 bit (where that operand is cut)
        It is the highest digit.
    products : Out, vector of one
        In the same cycle.
    """

    module_name = "serial_product"
    is_clocked = False

    def __init__(self, arithmetic: Arithmetic, *, hierarchy: Hierarchy | None = None) -> None:
        self._arithmetic = arithmetic
        ports: dict[str, Any] = {
            "weight": In(shape_of(arithmetic.weight.digits)), "factor": In(shape_of(arithmetic.factor.digits)),
            "products": Out(vector(signed(arithmetic.pass_number.bits), 1))}
        for name, operand in (("weight_top", arithmetic.weight), ("input_top", arithmetic.factor)):
            if operand.passes > 1:
                ports[name] = In(1)
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, arithmetic = Module(), self._arithmetic
        sides: list[tuple[Any, Any]] = []
        for operand, word, flag in ((arithmetic.weight, self.weight, "weight_top"),
                                    (arithmetic.factor, self.factor, "input_top")):
            if operand.passes == 1:
                sides.append((word, None))
            else:
                sides.append((word, getattr(self, flag) if operand.is_signed else Const(0)))
        (digit, top), (other, other_top) = sorted(sides, key=lambda side: len(side[0]))
        if top is not None and len(digit) == 1:
            m.d.comb += self.products[0].eq(self._chosen(m, digit, top, other, other_top))
        else:
            m.d.comb += self.products[0].eq(_signed(digit, top) * _signed(other, other_top))
        return m

    def _chosen(self, m: Module, bit: Any, is_negative: Any, other: Any, other_top: Any) -> Any:
        """The other operand, nothing, or its negative."""
        if other_top is not None and len(other) == 1:  # both are single bits: -1, 0 or 1
            both = Signal(1, name="both")
            m.d.comb += both.eq(bit & other)
            return Cat(both, both & (is_negative ^ other_top)).as_signed()
        value = _signed(other, other_top)
        width = len(value) + (0 if value.shape().signed else 1)
        passed, negates = Signal(signed(width), name="passed"), Signal(1, name="negates")
        m.d.comb += [passed.eq(Mux(bit, value, 0)), negates.eq(bit & is_negative)]
        return (passed ^ negates.replicate(width).as_signed()) + negates


def _signed(digit: Any, top: Any) -> Any:
    """A digit with its sign, if it has one; a whole operand as it is."""
    return digit if top is None else Cat(digit, top & digit[-1]).as_signed()


@dataclass(frozen=True)
class BitSerialArithmetic(Arithmetic):
    """A step takes a cycle for each digit of the serial operands; a parallel operand has its full width."""

    @property
    def part(self) -> type[Part]:
        return SerialProduct

    @property
    def _kind(self) -> BitSerialPrecision:
        assert isinstance(self.precision, BitSerialPrecision)
        return self.precision

    def _widths(self, operand: str, widest: int) -> list[int]:
        """Executed widths of an operand."""
        kind = self._kind
        if not kind.is_serial(operand):
            return [widest]
        pairs = [kind.executed_bits(weight_bits=min(bits, kind.weight_bits), input_bits=min(bits, kind.input_bits))
                 for bits in range(1, widest + 1)]
        return sorted({pair[operand == "inputs"] for pair in pairs if pair is not None})

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        kind = self._kind
        step = kind.bits_per_cycle
        return tuple(
            Mode(weight_bits, input_bits, weight_passes=weight_bits // step if kind.is_serial("weights") else 1,
                 input_passes=input_bits // step if kind.is_serial("inputs") else 1)
            for weight_bits, input_bits in product(self._widths("weights", kind.weight_bits),
                                                   self._widths("inputs", kind.input_bits)))

    def _is_cut(self, operand: str) -> bool:
        """Whether an operand has more than one digit in some mode."""
        return max(mode.weight_passes if operand == "weights" else mode.input_passes for mode in self.modes) > 1

    @property
    def mode_ports(self) -> dict[str, int]:
        """Digits of each serial operand."""
        sides = (("weight_digits", self.weight), ("input_digits", self.factor))
        return {name: operand.passes.bit_length() for name, operand in sides if operand.passes > 1}

    def mode_values(self, mode: Mode) -> dict[str, int]:
        values = {"weight_digits": mode.weight_passes, "input_digits": mode.input_passes}
        return {name: values[name] for name in self.mode_ports}

    @cached_property
    def weight(self) -> Operand:
        if not self._is_cut("weights"):
            return plain(self.weight_number(self.modes[0]), self.modes[0].weight_form)
        return packed(tuple(mode.weight_form for mode in self.modes), is_signed=self.has_signed_weights)

    @cached_property
    def factor(self) -> Operand:
        if not self._is_cut("inputs"):
            return entering_inputs(self, self.modes[0])
        return packed(tuple(mode.input_form for mode in self.modes), is_signed=self.has_signed_inputs)

    def weight_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return packed_words(values, mode.weight_form) if self._is_cut("weights") else values[..., 0].astype(object)

    def input_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return packed_words(values, mode.input_form) if self._is_cut("inputs") else values[..., 0].astype(object)

    def check(self) -> None:
        kind = self._kind
        for label, operand in (("weight_bits", "weights"), ("input_bits", "inputs")):
            check_bits(label, getattr(kind, label), least=1 if kind.is_serial(operand) else OPERAND_BITS[0])
        if kind.pointwise is not None:
            raise HardwareError("expected none in RTL, whose PEs take all kernels bit by bit, got one",
                                field="pe_grid.precision.pointwise")
        if kind.one_bit_reduction != 1:
            raise HardwareError("expected 1 in RTL, whose PEs take one pair of operands at every width, got "
                                f"{kind.one_bit_reduction}", field="pe_grid.precision.one_bit_reduction")

    def wording(self) -> list[str]:
        digit, kind = self._kind.bits_per_cycle, self._kind
        serial = {"weights": "weights", "inputs": "inputs", "both": "weights and inputs"}[kind.serial]
        each = ", of the weights for each of the inputs" if kind.serial == "both" else ""
        return [f"{serial} of n digits of {digit} bit{'s' * (digit > 1)} stand in the lowest bits of their words; a step "
                f"takes a cycle for each digit{each}",
                f"{' and '.join(self.mode_ports)} say how many digits there are"]
