"""Which digits of a word a pass takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value

from accelsim.rtl.products.mode import Form
from accelsim.rtl.products.operand import Operand
from accelsim.rtl.registers import shape_of


def digits_of(m: Module, operand: Operand, word: Any, *, index: Any, mode: Any, codes: Sequence[int], name: str) -> Any:
    """The word of a pass: the digits at a place of all operands in a word; the word itself if one pass takes all of it.

    Parameters
    ----------
    index : the place, 0 for the lowest digits.
    mode : as on the port, None where PEs need none; `codes` is what it says of each of the operand's forms.
    """
    if operand.passes == 1:
        return word
    digits = Signal(shape_of(operand.digits), name=name)
    if mode is None or len({(form.count, form.digit) for form in operand.forms}) == 1:
        widest = max(operand.forms, key=lambda form: form.passes)
        _select(m, operand, word, widest, index, digits)
        return digits
    with m.Switch(mode):
        for form, of_form in _by_form(operand.forms, codes).items():
            with m.Case(*of_form):
                _select(m, operand, word, form, index, digits)
    return digits


def _by_form(forms: Sequence[Form], codes: Sequence[int]) -> dict[Form, list[int]]:
    found: dict[Form, list[int]] = {}
    for form, code in zip(forms, codes, strict=True):
        found.setdefault(form, []).append(code)
    return found


def _select(m: Module, operand: Operand, word: Any, form: Form, index: Any, digits: Any) -> None:
    if form.passes == 1:
        m.d.comb += digits.eq(word[:form.width])
        return
    with m.Switch(index):
        for place in range(form.passes):
            with m.Case(place):
                m.d.comb += digits.eq(Cat(*(_digit(word, form, piece, operand.is_signed) for piece in form.pieces(place))))


def _digit(word: Any, form: Form, piece: tuple[int, int], is_signed: bool) -> Any:
    """A digit, its highest filled up with the sign."""
    bits: Value = word[piece[0]:piece[1]]
    spare = form.digit - len(bits)
    if not spare:
        return bits
    return Cat(bits, bits[-1].replicate(spare) if is_signed else Value.cast(0)[:1].replicate(spare))
