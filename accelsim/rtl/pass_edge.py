"""What enters a grid in each pass: digits of the streamed words, and what tells the PEs about them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In

from accelsim.rtl.design import GridDesign
from accelsim.rtl.products.digits import digits_of
from accelsim.rtl.products.pass_sums import pass_layout
from accelsim.rtl.registers import fields_of, shape_of, vector


def pass_ports(design: GridDesign) -> dict[str, Any]:
    """Ports of a grid: the passes of its controller, and the mode."""
    arithmetic = design.arithmetic
    ports: dict[str, Any] = {"passes": In(pass_layout(arithmetic, "weight", "factor"))} if arithmetic.has_passes else {}
    return ports | ({"mode": In(arithmetic.mode_ports["mode"])} if arithmetic.has_mode else {})


def entering_digits(m: Module, grid: Any, design: GridDesign, name: str, words: Any) -> Any:
    """Words of the operand `name` ("weight" or "factor") at an edge, as the digits of this pass.

    Parameters
    ----------
    grid : has the ports of `pass_ports`. words : a vector of words, or of vectors of them.
    """
    arithmetic = design.arithmetic
    operand = getattr(arithmetic, name)
    if operand.passes == 1:
        return words
    layout = words.shape()
    inner = layout.elem_shape if isinstance(layout.elem_shape, data.ArrayLayout) else None
    element = shape_of(operand.digits)
    made = vector(element if inner is None else vector(element, inner.length), layout.length)
    digits = Signal(made, name=f"{name}_digits")
    index, mode = getattr(grid.passes, f"{name}_index"), grid.mode if arithmetic.has_mode else None
    flat = words.as_value()
    width, count = Shape.cast(layout).width, layout.length * (1 if inner is None else inner.length)
    bits = width // count
    for place in range(count):
        chosen = digits_of(m, operand, flat[place * bits:(place + 1) * bits], index=index, mode=mode, codes=arithmetic.codes,
                           name=f"{name}_digits_{place}")
        m.d.comb += digits.as_value()[place * element.width:(place + 1) * element.width].eq(chosen)
    return digits


def chosen_passes(m: Module, design: GridDesign, passes: Any, *names: str, signal: str = "passes_of_pes") -> Any:
    """What PEs have to know of a pass: its flags, and the place of the digits of the operands that stay in them."""
    chosen = Signal(pass_layout(design.arithmetic, *names), name=signal)
    m.d.comb += [field.eq(getattr(passes, name)) for name, field in fields_of(chosen)]
    return chosen
