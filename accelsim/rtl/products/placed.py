"""The part that multiplies, as it stands in a PE or a row of PEs."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module

from accelsim.rtl.part import Hierarchy
from accelsim.rtl.products.arithmetic import Arithmetic
from accelsim.rtl.products.pass_sums import PassSums, needs_mode, pass_flags


def products_of_pass(m: Module, hierarchy: Hierarchy, name: str, arithmetic: Arithmetic, *, weight: Any, factor: Any,
                     passes: Any, mode: Any) -> Any:
    """The products of the words of a pass, a vector over the channels.

    Parameters
    ----------
    passes : flags of the pass, None without passes. mode : as on the port, None where PEs need none.
    """
    part = hierarchy.place(m, name, arithmetic.part, arithmetic)
    m.d.comb += [part.weight.eq(weight), part.factor.eq(factor)]
    for flag, operand in (("weight_top", arithmetic.weight), ("input_top", arithmetic.factor)):
        if operand.passes > 1:
            m.d.comb += getattr(part, flag).eq(getattr(passes, flag))
    if arithmetic.has_mode:
        m.d.comb += part.mode.eq(mode)
    return part.products


def products_of_step(m: Module, hierarchy: Hierarchy, name: str, arithmetic: Arithmetic, products: Any, *, bits: int,
                     passes: Any, mode: Any) -> Any:
    """Products of a pass become those of a step, in its last pass: a vector of as many signed numbers of `bits`."""
    if not arithmetic.has_passes:
        return products
    layout = products.shape()
    gathered = hierarchy.place(m, name, PassSums, arithmetic, layout.elem_shape.width, bits, layout.length)
    m.d.comb += gathered.products.eq(products)
    m.d.comb += [getattr(gathered, flag).eq(getattr(passes, flag)) for flag in pass_flags(arithmetic)]
    if needs_mode(arithmetic):
        m.d.comb += gathered.mode.eq(mode)
    return gathered.sums
