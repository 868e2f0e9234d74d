"""Multipliers with a few modes, each with a throughput of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from accelsim.errors import HardwareError
from accelsim.hardware.precision_subword import SubwordMode, SubwordPrecision
from accelsim.rtl.number import Number
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.arithmetic import Arithmetic, check_bits
from accelsim.rtl.products.mode import Form, Mode
from accelsim.rtl.products.operand import Operand, packed
from accelsim.rtl.registers import shape_of, vector


class SubwordProducts(Part):
    """As many multipliers as the mode with the most products needs, each as wide as the widest mode that uses it.

    Operands of narrower modes are sign-extended into them; a multiplier that a mode does not use gets zeros. Products of one
    sum are added here. (How the chips that this kind stands for share the cells of one multiplier is not published in full.)

    Ports
    -----
    weight, factor : In
        The words of a pass.
    weight_top, input_top : In, 1 bit (where that operand is cut)
        They are the highest digits.
    mode : In (with several modes)
        Which mode it is.
    products : Out, vector over the channels
        In the same cycle.
    """

    module_name = "subword_products"
    is_clocked = False

    def __init__(self, arithmetic: SubwordArithmetic, *, hierarchy: Hierarchy | None = None) -> None:
        self._arithmetic = arithmetic
        ports: dict[str, Any] = {
            "weight": In(shape_of(arithmetic.weight.digits)), "factor": In(shape_of(arithmetic.factor.digits)),
            "products": Out(vector(signed(arithmetic.pass_number.bits), arithmetic.channels))}
        for name, operand in (("weight_top", arithmetic.weight), ("input_top", arithmetic.factor)):
            if operand.passes > 1:
                ports[name] = In(1)
        if arithmetic.has_mode:
            ports["mode"] = In(arithmetic.mode_ports["mode"])
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, arithmetic = Module(), self._arithmetic
        products = []
        for place, (weight_number, input_number) in enumerate(arithmetic.multipliers):
            weight, factor = (Signal(shape_of(number), name=f"{name}_{place}")
                              for name, number in (("weight", weight_number), ("factor", input_number)))
            self._choose(m, place, weight, factor)
            product = Signal(signed(weight_number.bits + input_number.bits + 1), name=f"product_{place}")
            m.d.comb += product.eq(weight * factor)
            products.append(product)
        if arithmetic.channels > 1:
            m.d.comb += [self.products[channel].eq(product) for channel, product in enumerate(products)]
        else:
            m.d.comb += self.products[0].eq(sum(products[1:], start=products[0]))
        return m

    def _choose(self, m: Module, place: int, weight: Any, factor: Any) -> None:
        """The operands of a multiplier in every mode that uses it."""
        arithmetic = self._arithmetic
        for code, mode in zip(arithmetic.codes, arithmetic.modes, strict=True):
            if place >= mode.pairs * mode.channels:
                continue
            given = 0 if mode.channels > 1 else place
            tops = [getattr(self, name) if form.passes > 1 else None
                    for name, form in (("weight_top", mode.weight_form), ("input_top", mode.input_form))]
            of_mode = [weight.eq(_operand(self.weight, mode.weight_form, place, arithmetic.weight, tops[0])),
                       factor.eq(_operand(self.factor, mode.input_form, given, arithmetic.factor, tops[1]))]
            if not arithmetic.has_mode:
                m.d.comb += of_mode
                continue
            with m.Switch(self.mode), m.Case(code):
                m.d.comb += of_mode


class SplitProducts(Part):
    """One multiplier, cut along the weights into slices that are multipliers of their own in the narrowest mode.

    A slice multiplies its bits of a word of weights, whatever weight they belong to. Neighbours are added, the upper one
    shifted, where they are parts of one weight; so are their sums. What belongs to several pairs of one sum is added without
    a shift.

    Ports
    -----
    weight, factor : In
        Words.
    mode : In
        Which mode it is.
    products : Out, vector over the channels
        In the same cycle.
    """

    module_name = "split_products"
    is_clocked = False

    def __init__(self, arithmetic: SubwordArithmetic, *, hierarchy: Hierarchy | None = None) -> None:
        self._arithmetic = arithmetic
        self._slices = max(mode.pairs * mode.channels for mode in arithmetic.modes)
        super().__init__({
            "weight": In(shape_of(arithmetic.weight.digits)), "factor": In(shape_of(arithmetic.factor.digits)),
            "mode": In(arithmetic.mode_ports["mode"]),
            "products": Out(vector(signed(arithmetic.pass_number.bits), arithmetic.channels))}, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, bits = Module(), len(self.weight) // self._slices
        sums = [self._slice(m, place, bits) for place in range(self._slices)]
        results = [(1, sums)]
        while len(sums) > 1:
            parts = 2 * results[-1][0]
            sums = [self._pair(m, sums[place], sums[place + 1], bits * parts // 2, parts, f"sum_{parts}_{place // 2}")
                    for place in range(0, len(sums), 2)]
            results.append((parts, sums))
        if self._arithmetic.channels == 1:
            m.d.comb += self.products[0].eq(sums[0])
            return m
        for parts, of_parts in results:
            with m.Switch(self.mode), m.Case(*self._codes(parts, parts)):
                m.d.comb += [self.products[channel].eq(value) for channel, value in enumerate(of_parts)]
        return m

    def _codes(self, least: int, most: int) -> list[int]:
        """Of the modes whose weights have so many slices."""
        return [code for code, mode in zip(self._arithmetic.codes, self._arithmetic.modes, strict=True)
                if least <= self._slices // (mode.pairs * mode.channels) <= most]

    def _slice(self, m: Module, place: int, bits: int) -> Any:
        """A slice's product; it has a sign where it is the upper end of a weight."""
        arithmetic = self._arithmetic
        own, has_sign = self.weight[place * bits:(place + 1) * bits], Signal(name=f"has_sign_{place}")
        tops = [code for parts in range(1, self._slices + 1) if (place + 1) % parts == 0
                for code in self._codes(parts, parts)]
        m.d.comb += has_sign.eq(self.mode.matches(*tops) if arithmetic.has_signed_weights else 0)
        input_number = arithmetic.input_number(arithmetic.modes[0])
        factor = Signal(shape_of(input_number), name=f"factor_{place}")
        for code, mode in zip(arithmetic.codes, arithmetic.modes, strict=True):
            given = 0 if mode.channels > 1 or mode.pairs == 1 else place // (self._slices // mode.pairs)
            with m.Switch(self.mode), m.Case(code):
                m.d.comb += factor.eq(_operand(self.factor, mode.input_form, given, arithmetic.factor, None))
        value = Cat(own, own[-1] & has_sign).as_signed() * factor
        product = Signal(signed(len(value)), name=f"product_{place}")
        m.d.comb += product.eq(value)
        return product

    def _pair(self, m: Module, lower: Any, upper: Any, shift: int, parts: int, name: str) -> Any:
        """Two neighbours: parts of one weight, or products of two pairs."""
        fuses = self.mode.matches(*self._codes(parts, self._slices))
        value = lower + (upper << shift if self._arithmetic.channels > 1 else Mux(fuses, upper << shift, upper))
        total = Signal(signed(len(value)), name=name)
        m.d.comb += total.eq(value)
        return total


def _operand(word: Any, form: Form, place: int, operand: Operand, top: Any) -> Any:
    """One of the operands, or digits, in a word."""
    bits = word[place * form.digit:(place + 1) * form.digit]
    if top is not None:
        return Cat(bits, bits[-1] & top).as_signed() if operand.is_signed else bits
    return bits.as_signed() if operand.is_signed else bits


@dataclass(frozen=True)
class SubwordArithmetic(Arithmetic):
    """The described modes, but for those whose operands always run in a faster one."""

    @property
    def part(self) -> type[Part]:
        return SplitProducts if self.splits_weights else SubwordProducts

    @cached_property
    def splits_weights(self) -> bool:
        """Whether all modes have the same inputs and as many weight bits: halves, quarters, ... of the widest weight."""
        counts = [mode.pairs * mode.channels for mode in self.modes]
        widths = {(count * mode.weight_bits, mode.input_bits, mode.cycles)
                  for count, mode in zip(counts, self.modes, strict=True)}
        return len(self.modes) > 1 and len(widths) == 1 and self.modes[0].cycles == 1 and all(
            max(counts) % count == 0 and (max(counts) // count).bit_count() == 1 for count in counts)

    @property
    def _kind(self) -> SubwordPrecision:
        assert isinstance(self.precision, SubwordPrecision)
        return self.precision

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        kind = self._kind
        return tuple(_mode(kind, mode) for mode in kind.modes
                     if kind.mode(weight_bits=mode.weight_bits, input_bits=mode.input_bits) is mode)

    @cached_property
    def multipliers(self) -> tuple[tuple[Number, Number], ...]:
        """Operands of each multiplier."""
        count = max(mode.pairs * mode.channels for mode in self.modes)
        using = [[mode for mode in self.modes if mode.pairs * mode.channels > place] for place in range(count)]
        return tuple((_width(self.weight, [mode.weight_form for mode in modes]),
                      _width(self.factor, [mode.input_form for mode in modes])) for modes in using)

    @cached_property
    def weight(self) -> Operand:
        return packed(tuple(mode.weight_form for mode in self.modes), is_signed=self.has_signed_weights)

    @cached_property
    def factor(self) -> Operand:
        return packed(tuple(mode.input_form for mode in self.modes), is_signed=self.has_signed_inputs)

    def check(self) -> None:
        kind = self._kind
        if kind.uses_float:
            raise HardwareError("expected integer modes in RTL, got floating point ones", field="pe_grid.precision.modes")
        for index, mode in enumerate(kind.modes):
            check_bits(f"modes.{index}.weight_bits", mode.weight_bits)
            check_bits(f"modes.{index}.input_bits", mode.input_bits)
            if not _cuts(mode):
                raise HardwareError(f"expected a rate for which {mode.weight_bits}/{mode.input_bits} bits can be cut into "
                                    f"passes in RTL, got {mode.macs_per_cycle}",
                                    field=f"pe_grid.precision.modes.{index}.macs_per_cycle")
        if any(self.channels % mode.channels for mode in self.modes):
            counts = ", ".join(str(mode.channels) for mode in self.modes)
            raise HardwareError(f"expected channels that divide the {self.channels} of the fastest mode in RTL, got "
                                f"{counts}", field="pe_grid.precision.modes")

    def wording(self) -> list[str]:
        lines = []
        if self.pairs * self.channels > 1:
            several = "weights of several channels" if self.channels > 1 else "operands of several pairs"
            lines = [f"{several} stand side by side in their words, the first in the lowest bits"]
        modes = [f"mode {code} (weight/input bits): {mode.text}" for code, mode in zip(self.codes, self.modes, strict=True)]
        return lines + (modes if self.has_mode else [])


def _width(operand: Operand, forms: list[Form]) -> Number:
    """What holds the digits of all these forms; lower digits have no sign, so where there are some a bit more."""
    signs = operand.is_signed
    return Number(max(form.digit + (1 if signs and form.passes > 1 else 0) for form in forms), signs)


def _cuts(mode: SubwordMode) -> list[tuple[int, int]]:
    """(digits of the weights, of the inputs) that take the mode's cycles."""
    cycles = mode.macs_per_cycle.denominator
    return [(count, cycles // count) for count in range(1, mode.weight_bits + 1)
            if cycles % count == 0 and cycles // count <= mode.input_bits]


def _mode(kind: SubwordPrecision, mode: SubwordMode) -> Mode:
    """A mode, its passes cut so that they need the smallest and most nearly square multiplier."""
    products = mode.macs_per_cycle.numerator

    def size(cut: tuple[int, int]) -> tuple[int, int, int]:
        digits = -(-mode.weight_bits // cut[0]), -(-mode.input_bits // cut[1])
        return digits[0] * digits[1], max(digits), cut[0]

    weight_passes, input_passes = min(_cuts(mode) or [(1, 1)], key=size)
    pairs, channels = (1, products) if kind.widens == "channels" else (products, 1)
    return Mode(mode.weight_bits, mode.input_bits, pairs=pairs, channels=channels, weight_passes=weight_passes,
                input_passes=input_passes)
