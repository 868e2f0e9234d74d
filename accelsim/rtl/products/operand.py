"""The wires of one operand of a PE, from the port to the multipliers."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.rtl.number import Number
from accelsim.rtl.products.mode import Form


@dataclass(frozen=True)
class Operand:
    """Words of one operand.

    Parameters
    ----------
    port : a word on the port. whole : the same in the grid: decoded, its zero point taken off.
    forms : how a word is cut, for each mode.
    is_signed : whether the highest digits have a sign.
    """

    port: Number
    whole: Number
    forms: tuple[Form, ...]
    is_signed: bool

    @property
    def passes(self) -> int:
        """Digits of an operand at most."""
        return max(form.passes for form in self.forms)

    @property
    def digits(self) -> Number:
        """The word of a pass: the whole one where a single pass takes it."""
        if self.passes == 1:
            return self.whole
        return Number(max(form.count * form.digit for form in self.forms), False)

    @property
    def index_bits(self) -> int:
        """Of a digit's place."""
        return (self.passes - 1).bit_length()

    def number(self, bits: int) -> Number:
        """One operand of these bits."""
        return Number(bits, self.is_signed)

    def digit_range(self, form: Form) -> tuple[int, int]:
        """Values of a digit: the highest has the sign, the others have none.

        >>> Operand(Number(8, True), Number(8, True), (Form(1, 8, 2, 4),), True).digit_range(Form(1, 8, 2, 4))
        (-2, 3)
        """
        low = self.number(form.digit).range[0]
        return low, Number(form.digit, form.passes == 1 and self.is_signed).range[1]


def plain(number: Number, form: Form) -> Operand:
    """An operand that enters as it is, in one pass."""
    return Operand(number, number, (form,), number.is_signed)


def packed(forms: tuple[Form, ...], *, is_signed: bool) -> Operand:
    """Several operands side by side, or one that is cut into digits."""
    word = Number(max(form.width for form in forms), False)
    return Operand(word, word, forms, is_signed)
