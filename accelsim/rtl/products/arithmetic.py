"""What a precision kind needs to have an RTL."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import HardwareError
from accelsim.hardware.precision_kind import PrecisionKind
from accelsim.rtl.number import Number, products_of
from accelsim.rtl.part import Part
from accelsim.rtl.products.mode import Form, Mode
from accelsim.rtl.products.operand import Operand

#: Operand widths that have an RTL; a kind that is made for single bits has those too.
OPERAND_BITS = (2, 16)


@dataclass(frozen=True)
class Arithmetic(ABC):
    """How the PEs of one precision kind multiply: data for the rest of the design, and the part that does it.

    Parameters
    ----------
    precision : of the description.
    has_signed_weights, has_signed_inputs : of the integers on the ports.
    zero_point_bits : by which an input is wider in the grid than on its port.
    has_tree : whether an adder tree of the grid adds the products of several PEs.

    """

    precision: PrecisionKind
    has_signed_weights: bool
    has_signed_inputs: bool
    zero_point_bits: int
    has_tree: bool

    @property
    @abstractmethod
    def part(self) -> type[Part]:
        """Makes the products of a pass."""

    @cached_property
    @abstractmethod
    def modes(self) -> tuple[Mode, ...]:
        """All that the hardware runs in."""

    @cached_property
    @abstractmethod
    def weight(self) -> Operand:
        """Words of weights."""

    @cached_property
    @abstractmethod
    def factor(self) -> Operand:
        """Words of inputs."""

    @property
    def mode_ports(self) -> dict[str, int]:
        """Ports that choose a mode: name -> bits; none where there is a single one."""
        return {"mode": (max(self.codes) or 1).bit_length()} if len(self.modes) > 1 else {}

    @cached_property
    def codes(self) -> tuple[int, ...]:
        """What the port `mode` says of each mode."""
        return tuple(range(len(self.modes)))

    def mode_values(self, mode: Mode) -> dict[str, int]:
        """What those ports say."""
        return {"mode": self.codes[self.modes.index(mode)]} if self.mode_ports else {}

    @property
    def has_mode(self) -> bool:
        """Whether a PE has to know its mode."""
        return "mode" in self.mode_ports

    @property
    def channels(self) -> int:
        """Output channels of a PE at most."""
        return max(mode.channels for mode in self.modes)

    @property
    def pairs(self) -> int:
        """Pairs of operands of one sum that a PE takes at most."""
        return max(mode.pairs for mode in self.modes)

    @property
    def has_passes(self) -> bool:
        """Whether some steps take several cycles."""
        return max(mode.cycles for mode in self.modes) > 1

    @cached_property
    def pass_number(self) -> Number:
        """The products of one channel and pass."""
        if not self.has_passes:
            return self.step_number
        return products_of((self.weight.digit_range(mode.weight_form), self._factor_range(mode), mode.pairs)
                           for mode in self.modes)

    @cached_property
    def step_number(self) -> Number:
        """The products of one channel and step."""
        return products_of((self._weight_range(mode), self.factor.number(mode.input_bits + self.zero_point_bits).range,
                            mode.pairs) for mode in self.modes)

    @cached_property
    def inner_number(self) -> Number:
        """Those of one digit of the weights with all of the inputs."""
        return products_of((self.weight.digit_range(mode.weight_form),
                            self.factor.number(mode.input_bits + self.zero_point_bits).range, mode.pairs)
                           for mode in self.modes)

    def _factor_range(self, mode: Mode) -> tuple[int, int]:
        form = mode.input_form
        if form.passes == 1:
            return self.factor.number(mode.input_bits + self.zero_point_bits).range
        return self.factor.digit_range(form)

    def _weight_range(self, mode: Mode) -> tuple[int, int]:
        values = self.weight_values(mode)
        return (min(values), max(values)) if values is not None else self.weight_number(mode).range

    def weight_number(self, mode: Mode) -> Number:
        """What a weight can be in this mode, unless `weight_values` says so."""
        return Number(mode.weight_bits, self.has_signed_weights)

    def input_number(self, mode: Mode) -> Number:
        """What an input can be in this mode, unless `input_values` says so."""
        return Number(mode.input_bits, self.has_signed_inputs)

    def weight_values(self, mode: Mode) -> Sequence[int] | None:
        """The weights that there are, where they are not the integers of some width."""
        return None

    def input_values(self, mode: Mode) -> Sequence[int] | None:
        """The inputs that there are, where they are not the integers of some width."""
        return None

    def weight_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        """Words on the ports, objects (...).

        Parameters
        ----------
        values : integers (..., channels * pairs), 0 where there is none. used : whether there is one.
        """
        return packed_words(values, mode.weight_form)

    def input_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        """The same of inputs, (..., pairs)."""
        return packed_words(values, mode.input_form)

    def check(self) -> None:
        """Refuse what has no RTL.

        Raises
        ------
        HardwareError : with the field.
        """
        for label, bits in (("weight_bits", max(mode.weight_bits for mode in self.modes)),
                            ("input_bits", max(mode.input_bits for mode in self.modes))):
            check_bits(label, bits)

    def wording(self) -> list[str]:
        """How operands are packed, and the modes, for the file's header."""
        return []


def packed_words(values: NDArray[Any], form: Form) -> NDArray[Any]:
    """Integers (..., count) side by side in two's complement, the first in the lowest bits.

    >>> packed_words(np.array([[1, -1], [2, 3]]), Form(2, 4, 4, 1)).tolist()
    [241, 50]
    """
    mask = (1 << form.bits) - 1
    words = np.zeros(values.shape[:-1], dtype=object)
    for place in range(values.shape[-1]):
        words += (values[..., place].astype(object) & mask) << (place * form.bits)
    return words


def check_bits(label: str, bits: int, *, least: int = 1) -> None:
    """Refuse a width."""
    most = OPERAND_BITS[1]
    if not least <= bits <= most:
        raise HardwareError(f"expected {least} to {most} bits in RTL, got {bits}", field=f"pe_grid.precision.{label}")
