"""The registers that an operand passes in the grid: how wide they are, and how their bits are read."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.errors import HardwareError
from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.precision_fixed import FixedPrecision
from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.reached_width import signed_bits


@dataclass(frozen=True, slots=True)
class OperandRegister:
    """A register of some bits, two's complement if signed.

    Examples
    --------
    >>> OperandRegister.holding(8, -128, 127), OperandRegister.holding(8, 0, 255).is_signed
    (OperandRegister(bits=8, is_signed=True), False)
    >>> OperandRegister.holding(1, -1, 1).bits  # a weight of a binary network, as a number
    2
    """

    bits: int
    is_signed: bool

    @classmethod
    def holding(cls, bits: int, low: int, high: int) -> OperandRegister:
        """As wide as the hardware has it, or as the numbers from `low` to `high` need where they stand decoded."""
        if low < 0:
            return cls(max(bits, signed_bits(low, high)), True)
        return cls(max(bits, high.bit_length()), False)


def operand_bits(grid: PeGrid, work: GemmWork) -> tuple[int, int]:
    """(weight, input) bits of the registers in which a layer's operands travel.

    Raises
    ------
    HardwareError : operands that are multiplied as floating point numbers, which no register here holds.

    Examples
    --------
    >>> from accelsim.numerics.axis import Axis
    >>> work = GemmWork(groups=1, images=1, rows=Axis(8, 8), columns=Axis(1, 1), channels=6, n=4, has_channel_groups=False,
    ...                 weight_bits=4, input_bits=4, output_bits=8)
    >>> operand_bits(PeGrid(rows=4, columns=4, dataflow="weight_stationary", zero_points="subtract"), work)
    (8, 9)
    """
    precision, own = grid.precision, {"weight_bits": work.weight_bits, "input_bits": work.input_bits}
    if precision.multiplies_floats(**own):
        raise HardwareError(f"expected a PE that multiplies integers of {work.weight_bits}/{work.input_bits} bits, whose "
                            "registers can be shown, got floating point", field="pe_grid.precision")
    executed = precision.native_bits if isinstance(precision, FixedPrecision) else precision.executed_bits(**own)
    assert executed is not None, "the mapper let operands through that do not fit"
    return executed[0], executed[1] + grid.zero_point_bits
