"""Passes of a step become its product: digits from the highest to the lowest, shifted and added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.arithmetic import Arithmetic
from accelsim.rtl.registers import vector


class PassSums(Part):
    """``step = sum over i, j of products(i, j) << (i w + j x)``, w and x the bits of a digit of the weights, of the inputs.

    The digits of the inputs are gathered first, ``inner = (inner << digit) + products`` from the highest on, then those
    sums for the digits of the weights in the same way. The step's product stands there, complete, in its last pass.

    Parameters
    ----------
    bits : of the products that come and of a step's; `lanes` of them side by side.

    Ports
    -----
    products : In, vector
        Of this pass.
    weight_top : In, 1 bit (where weights are cut)
        It has the highest digits of the weights.
    input_top, input_low : In, 1 bit (where inputs are cut)
        It has the highest, or the lowest, digits of the inputs.
    mode : In (where modes cut differently)
        As on the port of the whole design.
    sums : Out, vector
        In the last pass of a step, its products; sums on the way before that.
    """

    module_name = "pass_sums"

    def __init__(self, arithmetic: Arithmetic, pass_bits: int, step_bits: int, lanes: int, *,
                 hierarchy: Hierarchy | None = None) -> None:
        self._arithmetic, self._bits, self._lanes = arithmetic, step_bits, lanes
        ports: dict[str, Any] = {
            "products": In(vector(signed(pass_bits), lanes)), "sums": Out(vector(signed(step_bits), lanes))}
        ports |= {name: In(1) for name in pass_flags(arithmetic)}
        if needs_mode(arithmetic):
            ports["mode"] = In(arithmetic.mode_ports["mode"])
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, arithmetic = Module(), self._arithmetic
        mode = self.mode if needs_mode(arithmetic) else None
        for lane in range(self._lanes):
            value = self.products[lane]
            if arithmetic.factor.passes > 1:
                digits = [each.input_digit if each.input_passes > 1 else 0 for each in arithmetic.modes]
                more = self._bits - arithmetic.step_number.bits
                value = self._gathered(m, value, self.input_top, digits, mode, Const(1), f"inner_{lane}",
                                       arithmetic.inner_number.bits + more)
            if arithmetic.weight.passes > 1:
                digits = [each.weight_digit if each.weight_passes > 1 else 0 for each in arithmetic.modes]
                is_whole = self.input_low if arithmetic.factor.passes > 1 else Const(1)
                value = self._gathered(m, value, self.weight_top, digits, mode, is_whole, f"outer_{lane}", self._bits)
            m.d.comb += self.sums[lane].eq(value)
        return m

    def _gathered(self, m: Module, value: Any, is_first: Any, digits: Sequence[int], mode: Any, is_whole: Any, name: str,
                  bits: int) -> Any:
        """``sum = (first ? 0 : sum << digit) + value``, kept where the value is whole."""
        before = Signal(signed(bits), name=f"{name}_before", reset_less=True)
        now, shifted = Signal(signed(bits), name=name), Signal(signed(bits), name=f"{name}_shifted")
        distances = sorted({digit for digit in digits if digit})
        if len(distances) == 1 or mode is None:
            m.d.comb += shifted.eq(before << distances[0])
        else:
            with m.Switch(mode):
                for distance in distances:
                    codes = [code for code, digit in zip(self._arithmetic.codes, digits, strict=True) if digit == distance]
                    with m.Case(*codes):
                        m.d.comb += shifted.eq(before << distance)
        m.d.comb += now.eq(Mux(is_first, 0, shifted) + value)
        with m.If(is_whole):
            m.d.sync += before.eq(now)
        return now


def needs_mode(arithmetic: Arithmetic) -> bool:
    """Whether digits of several widths occur on one side."""
    sides = ({mode.weight_digit for mode in arithmetic.modes if mode.weight_passes > 1},
             {mode.input_digit for mode in arithmetic.modes if mode.input_passes > 1})
    return arithmetic.has_mode and max(map(len, sides)) > 1


def pass_flags(arithmetic: Arithmetic) -> list[str]:
    """What tells passes apart: see `PassSums`."""
    flags = ["weight_top"] if arithmetic.weight.passes > 1 else []
    return flags + (["input_top", "input_low"] if arithmetic.factor.passes > 1 else [])


def pass_layout(arithmetic: Arithmetic, *indices: str) -> data.StructLayout:
    """Those flags side by side, and the places of the digits of these operands ("weight", "factor")."""
    fields: dict[str, Any] = dict.fromkeys(pass_flags(arithmetic), 1)
    for name in indices:
        if bits := getattr(arithmetic, name).index_bits:
            fields[f"{name}_index"] = bits
    return data.StructLayout(fields)
