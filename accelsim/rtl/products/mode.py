"""A way in which PEs work: widths of the operands, pairs of them in a step, passes over them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mode:
    """What a PE does in a step with tensors of these widths.

    A step takes `pairs` pairs of operands of one sum, for each of `channels` output channels. A pass is a cycle of a step:
    it multiplies a digit of each weight with a digit of each input. Digits come from the highest to the lowest; each of the
    weights' digits meets all of the inputs' before the next one comes.

    Parameters
    ----------
    weight_bits, input_bits : of the tensors, as the PEs execute them.
    pairs, channels : in a word.
    weight_passes, input_passes : digits of an operand.

    Examples
    --------
    >>> mode = Mode(16, 8, weight_passes=2)
    >>> mode.cycles, mode.weight_digit, mode.input_digit
    (2, 8, 8)
    """

    weight_bits: int
    input_bits: int
    pairs: int = 1
    channels: int = 1
    weight_passes: int = 1
    input_passes: int = 1

    @property
    def cycles(self) -> int:
        """Of a step."""
        return self.weight_passes * self.input_passes

    @property
    def weight_digit(self) -> int:
        """Bits of a digit of the weights."""
        return -(-self.weight_bits // self.weight_passes)

    @property
    def input_digit(self) -> int:
        """Bits of a digit of the inputs."""
        return -(-self.input_bits // self.input_passes)

    @property
    def weight_form(self) -> Form:
        """How a word of weights is cut."""
        return Form(self.channels * self.pairs, self.weight_bits, self.weight_digit, self.weight_passes)

    @property
    def input_form(self) -> Form:
        """How a word of inputs is cut."""
        return Form(self.pairs, self.input_bits, self.input_digit, self.input_passes)

    @property
    def text(self) -> str:
        """As a file's header says it.

        >>> Mode(2, 4, pairs=8).text, Mode(4, 16, channels=4).text, Mode(3, 8, weight_passes=3).text
        ('2/4: 8 pairs', '4/16: 4 channels', '3/8: 3 cycles')
        """
        counts = [f"{number} {name}s" for number, name in ((self.pairs, "pair"), (self.channels, "channel"),
                                                           (self.cycles, "cycle")) if number > 1]
        return f"{self.weight_bits}/{self.input_bits}: {', '.join(counts) or '1 pair'}"


@dataclass(frozen=True, slots=True)
class Form:
    """A word: `count` integers of `bits` side by side, the first in the lowest bits, and the digits that they are cut into.

    Examples
    --------
    >>> Form(2, 6, 4, 2).pieces(1)  # the upper digit of both: bits 4 to 6 and 10 to 12, 4 bits each with the sign
    [(4, 6), (10, 12)]
    """

    count: int
    bits: int
    digit: int
    passes: int

    @property
    def width(self) -> int:
        """Of the whole word."""
        return self.count * self.bits

    def pieces(self, place: int) -> list[tuple[int, int]]:
        """Where the digits of this place (0 is the lowest) lie: [first, last) bits of each."""
        return [(number * self.bits + place * self.digit, number * self.bits + min(self.bits, (place + 1) * self.digit))
                for number in range(self.count)]
