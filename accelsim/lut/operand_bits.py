"""The widths at which one layer is run: a row's key in a latency table."""

from __future__ import annotations

import re
from dataclasses import dataclass

from accelsim.errors import TableError

#: Widths of tensors; indices have the widest.
WIDEST_OPERAND_BITS = 64

#: Widths of accumulators, as in the accelerator's description.
_ACCUMULATORS = (8, 64)

_TEXT = re.compile(r"(-|[0-9]{1,2})/([0-9]{1,2})/([0-9]{1,2})(?:/([0-9]{1,2}))?")


@dataclass(frozen=True, slots=True)
class OperandBits:
    """Widths of one layer's operands.

    Parameters
    ----------
    weight_bits : of the weights, or of the second activation of a matrix product of two (it plays the weights); None for a
        layer of the vector unit.
    input_bits : of the activations that it reads; of the first one alone where the second plays the weights.
    output_bits : of the activation that it writes.
    accumulator_bits : of the accumulators; None is the accelerator's own width, and the only choice off the grid.

    Raises
    ------
    TableError : operands outside 1 to 64 bits, accumulators outside 8 to 64.

    Examples
    --------
    >>> str(OperandBits(4, 8, 8)), str(OperandBits(None, 8, 8)), str(OperandBits(2, 4, 8, 16))
    ('4/8/8', '-/8/8', '2/4/8/16')
    """

    weight_bits: int | None
    input_bits: int
    output_bits: int
    accumulator_bits: int | None = None

    def __post_init__(self) -> None:
        for field, bits in (("weight_bits", self.weight_bits), ("input_bits", self.input_bits),
                            ("output_bits", self.output_bits)):
            if bits is not None and not 1 <= bits <= WIDEST_OPERAND_BITS:
                raise TableError(f"expected 1 to {WIDEST_OPERAND_BITS} bits, got {bits}", field=field)
        least, most = _ACCUMULATORS
        if self.accumulator_bits is not None and not least <= self.accumulator_bits <= most:
            raise TableError(f"expected {least} to {most} bits, got {self.accumulator_bits}", field="accumulator_bits")

    def __str__(self) -> str:
        weights = "-" if self.weight_bits is None else str(self.weight_bits)
        text = f"{weights}/{self.input_bits}/{self.output_bits}"
        return text if self.accumulator_bits is None else f"{text}/{self.accumulator_bits}"

    @property
    def sort_key(self) -> tuple[int, int, int, int]:
        """The order of a layer's rows: narrow before wide, None first."""
        return self.weight_bits or 0, self.input_bits, self.output_bits, self.accumulator_bits or 0

    @classmethod
    def parse(cls, text: str) -> OperandBits:
        """The widths that `str` wrote.

        >>> OperandBits.parse("4/8/8/24")
        OperandBits(weight_bits=4, input_bits=8, output_bits=8, accumulator_bits=24)
        >>> OperandBits.parse("4/8")
        Traceback (most recent call last):
        accelsim.errors.TableError: expected bits of weights, inputs and outputs such as 4/8/8 or -/8/8, got 4/8
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise TableError(f"expected bits of weights, inputs and outputs such as 4/8/8 or -/8/8, got {text}")
        weights, inputs, outputs, accumulators = match.groups()
        return cls(None if weights == "-" else int(weights), int(inputs), int(outputs),
                   None if accumulators is None else int(accumulators))
