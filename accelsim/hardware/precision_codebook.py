"""Weights that are places in a table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.hardware.precision_kind import PrecisionKind, fits
from accelsim.hardware.quantity import Count
from accelsim.hardware.step_cost import LayerForm, StepCost


class CodebookPrecision(PrecisionKind):
    """Weights come as indices and are decoded from a table on their way into the grid (Han et al. 2016, Deep Compression:
    k-means; Stock et al. 2020: vectors), then multiplied by a fixed multiplier.

    A layer's weight width w is the index bits per weight: with `vector_length` d an index of w * d bits stands for d weights
    that follow one another. Bytes moved follow w; each index is one read of the table. Left out: loading the table, and
    weights with a fraction of a bit.
    """

    kind: Literal["codebook"]
    """Name of the precision kind."""
    index_bits: Annotated[int, Field(ge=1, le=16)] = 4
    """Widest index, bits (1 to 16): the table has 2^index_bits entries."""
    vector_length: Count = 1
    """Weights that one entry holds (at least 1; index_bits is a multiple of it)."""
    entry_bits: Annotated[int, Field(ge=1, le=32)] = 8
    """Width of a decoded weight and of the multiplier's weight operand, bits (1 to 32; no less than an index has for it)."""
    input_bits: Annotated[int, Field(ge=1, le=32)] = 8
    """Width of the multiplier's input operand, bits (1 to 32)."""

    @model_validator(mode="after")
    def _check_vectors(self) -> CodebookPrecision:
        if self.vector_length > self.index_bits:
            raise ValueError(f"vector_length: expected at most the index's {self.index_bits} bits, got {self.vector_length}")
        if self.index_bits % self.vector_length:
            raise ValueError(f"index_bits: expected a multiple of the {self.vector_length} weights of vector_length, got "
                             f"{self.index_bits}")
        if self.entry_bits < self.index_bits // self.vector_length:
            raise ValueError(f"entry_bits: expected at least the {self.index_bits // self.vector_length} bits of an index a "
                             f"weight, got {self.entry_bits}")
        return self

    @property
    def native_bits(self) -> tuple[int, int]:
        return self.limits[0]

    @property
    def limits(self) -> tuple[tuple[int, int], ...]:
        return ((self.index_bits // self.vector_length, self.input_bits),)

    @property
    def table_bytes(self) -> int:
        """Size of the table."""
        return -(-(self.vector_length * self.entry_bits << self.index_bits) // 8)

    def executed_bits(self, *, weight_bits: int, input_bits: int) -> tuple[int, int] | None:
        """The widths of the multiplier, behind the table.

        Examples
        --------
        >>> CodebookPrecision(kind="codebook", index_bits=4, entry_bits=8).executed_bits(weight_bits=3, input_bits=8)
        (8, 8)
        """
        if not fits(self.native_bits, weight_bits=weight_bits, input_bits=input_bits):
            return None
        return self.entry_bits, self.input_bits

    def step_cost(self, *, weight_bits: int, input_bits: int, form: LayerForm = "window") -> StepCost:
        return StepCost()

    @property
    def takes_wider_inputs(self) -> bool:
        return True
