"""What every precision kind of a PE answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction

from accelsim.hardware.quantity import Spec
from accelsim.hardware.step_cost import LayerForm, StepCost


class PrecisionKind(Spec, ABC):
    """Base of the precision kinds: data, and pure functions of a layer's operand widths.

    A width is that of a tensor's elements in bits; 1 to the kind's own limit. A layer's operands are rounded up to what the
    kind has (`executed_bits`), and what does not fit is refused.
    """

    kind: str
    """Name of the precision kind."""

    @property
    @abstractmethod
    def native_bits(self) -> tuple[int, int]:
        """(weight, input) widths for which peaks are stated."""

    @property
    @abstractmethod
    def limits(self) -> tuple[tuple[int, int], ...]:
        """Widest (weight, input) widths that it takes; operands fit if they fit one of these pairs."""

    @abstractmethod
    def executed_bits(self, *, weight_bits: int, input_bits: int) -> tuple[int, int] | None:
        """(weight, input) widths at which the PE really multiplies, or None for operands wider than it has."""

    @abstractmethod
    def step_cost(self, *, weight_bits: int, input_bits: int, form: LayerForm = "window") -> StepCost:
        """Cost of a streamed step for operands that fit."""

    def macs_per_pe_cycle(self, *, weight_bits: int, input_bits: int) -> Fraction:
        """MACs that one PE completes in a cycle at best, for operands of these widths that fit."""
        return self.step_cost(weight_bits=weight_bits, input_bits=input_bits).macs_per_cycle

    @property
    def widest_operand_bits(self) -> int:
        """Width of the widest operand that enters a multiplier."""
        executed = [self.executed_bits(weight_bits=w, input_bits=a) for w, a in self.limits]
        return max(bits for pair in executed if pair is not None for bits in pair)

    @property
    def takes_wider_inputs(self) -> bool:
        """Whether the multipliers can be one bit wider, for inputs whose zero point has been subtracted."""
        return False

    @property
    def uses_float(self) -> bool:
        """Whether some widths are multiplied as floating point numbers."""
        return any(self.multiplies_floats(weight_bits=weight, input_bits=given) for weight, given in self.stated_bits)

    def multiplies_floats(self, *, weight_bits: int, input_bits: int) -> bool:
        """Whether operands of these widths are multiplied as floating point numbers."""
        return False

    @property
    def stated_bits(self) -> tuple[tuple[int, int], ...]:
        """(weight, input) widths that a description of the PEs names, the native ones first."""
        return tuple(dict.fromkeys((self.native_bits, *self.limits)))


def fits(limit: tuple[int, int], *, weight_bits: int, input_bits: int) -> bool:
    """Whether operands are not wider than a (weight, input) pair."""
    return weight_bits <= limit[0] and input_bits <= limit[1]
