"""Registers in a row, and what a register of limited width keeps of an exact sum."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data

from accelsim.numerics.rule_names import Overflow
from accelsim.rtl.number import Number


def shape_of(number: Number) -> Shape:
    """Amaranth's shape of an integer.

    >>> shape_of(Number(8, True))
    signed(8)
    """
    return signed(number.bits) if number.is_signed else unsigned(number.bits)


def vector(shape: Any, length: int) -> data.ArrayLayout:
    """`length` values side by side, the first in the lowest bits."""
    return data.ArrayLayout(shape, length)


def delayed(m: Module, value: Any, cycles: int, *, name: str, is_reset: bool = False) -> Any:
    """`value`, `cycles` clocks later: a shift register, the youngest in its lowest bits; the value itself for 0.

    Parameters
    ----------
    name : of the register.
    is_reset : whether reset clears it, as control needs it; data does not.
    """
    if not cycles:
        return value
    shape, bits = value.shape(), len(Value.cast(value))
    stages = Signal(bits * cycles, name=name, reset_less=not is_reset)
    m.d.sync += stages.eq(Cat(value, stages))
    return shaped(stages[-bits:], shape)


def shaped(bits: Any, shape: Any) -> Any:
    """Bits as the integer or vector that they are."""
    if not isinstance(shape, Shape):
        return shape(bits)
    return bits.as_signed() if shape.signed else bits


def numbered(name: str, place: int, count: int) -> str:
    """A name for each of several, so that names sort as the numbers do.

    >>> numbered("row", 3, 16)
    'row_03'
    """
    return f"{name}_{place:0{len(str(count - 1))}}"


def banked(m: Module, value: Any, *, load: Any, load_bank: Any = None, bank: Any = None, is_at_once: bool = False) -> Any:
    """The stationary operand that multiplies: one register, or `bank`'s of two, of which `load_bank`'s is filled.

    Parameters
    ----------
    value : what a bank becomes where `load` is 1; the banks have its shape.
    is_at_once : whether it multiplies in the cycle of its loading already; one register only.
    """
    shape = value.shape()
    if bank is None:
        stationary = Signal(shape, name="stationary", reset_less=True)
        with m.If(load):
            m.d.sync += stationary.eq(value)
        if not is_at_once:
            return stationary
        multiplying = Signal(shape, name="multiplying")
        m.d.comb += multiplying.eq(Mux(load, value, stationary))
        return multiplying
    banks = [Signal(shape, name=f"bank_{place}", reset_less=True) for place in range(2)]
    for place, register in enumerate(banks):
        with m.If(load & (load_bank == place)):
            m.d.sync += register.eq(value)
    stationary = Signal(shape, name="stationary")
    m.d.comb += stationary.eq(Mux(bank, banks[1], banks[0]))
    return stationary


def kept(exact: Any, bits: int, overflow: Overflow) -> Any:
    """What a register of `bits` keeps of an exact signed sum: `accelsim.numerics.register.Register`.

    ``error`` keeps what ``wrap`` does: hardware has nobody to stop.
    """
    spare = len(exact) - bits
    if spare <= 0:
        return exact
    if overflow != "saturate":
        return exact[:bits].as_signed()
    sign, upper = exact[-1], exact[bits - 1:]
    end = Cat((~sign).replicate(bits - 1), sign)
    return Mux(upper == sign.replicate(spare + 1), exact[:bits], end).as_signed()


def fields_of(struct: Any) -> list[tuple[str, Any]]:
    """(name, value) of each field of a struct."""
    return [(name, getattr(struct, name)) for name, _ in struct.shape()]
