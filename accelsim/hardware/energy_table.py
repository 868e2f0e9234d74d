"""What one operation costs, as published: the points from which the laws of `accelsim.energy` start."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.hardware.document_path import path_mistake
from accelsim.hardware.quantity import Area, Count, Energy, EnergyPerBit, Power, Size, Spec


class OperationPoint(Spec):
    """Published cost of one integer operation at one width."""

    bits: Count
    """Width of both operands."""
    energy_pj: Annotated[Energy, Field(alias="energy")]
    """Energy of one operation ("0.2 pJ")."""
    area_um2: Annotated[Area | None, Field(alias="area")] = Field(default=None, alias="area")
    """Area of the unit ("282 um2"), if published."""


class SramPoint(Spec):
    """Published cost of one access to an SRAM of one capacity."""

    capacity_bytes: Annotated[Size, Field(alias="capacity")]
    """Size of the SRAM ("8 KiB")."""
    access_bits: Count
    """Bits that one access moves."""
    energy_pj: Annotated[Energy, Field(alias="energy")]
    """Energy of one access ("10 pJ")."""


class EnergyTable(Spec):
    """Energy and area of operations in one technology.

    Energies are in `unit`: pJ, or, in a table of relative costs, multiples of one MAC (the YAML then still writes "pJ"
    after the number, and every report prints the table's unit).
    """

    name: Annotated[str, Field(min_length=1)]
    """Name of the table."""
    technology: str
    """Process and voltage, in words."""
    source: str
    """The publication that the points come from."""
    unit: Literal["pJ", "MAC"] = "pJ"
    """What 1 means: a picojoule, or the energy of one MAC."""
    multiply: Annotated[tuple[OperationPoint, ...], Field(min_length=1, strict=False)]
    """Integer multiplications by operand width."""
    add: Annotated[tuple[OperationPoint, ...], Field(min_length=1, strict=False)]
    """Integer additions by width."""
    float_multiply: Annotated[tuple[OperationPoint, ...], Field(strict=False)] = ()
    """Floating point multiplications by operand width; needed only for PEs of precision float."""
    float_add: Annotated[tuple[OperationPoint, ...], Field(strict=False)] = ()
    """Floating point additions by width; needed only for PEs of precision float."""
    register_pj_per_bit: Annotated[EnergyPerBit, Field(alias="register")] = Field(alias="register")
    """Writing and reading one bit of a PE's register, the hop to the neighbour included."""
    sram: Annotated[tuple[SramPoint, ...], Field(min_length=1, strict=False)]
    """Accesses to on-chip SRAM by capacity."""
    sram_area_um2_per_bit: Annotated[Area | None, Field(alias="sram_area_per_bit")] = Field(
        default=None, alias="sram_area_per_bit")
    """Area of one bit of SRAM, periphery included, if known."""
    dram_pj_per_bit: Annotated[EnergyPerBit, Field(alias="dram")] = Field(alias="dram")
    """A bit read from or written to DRAM, for accelerators that do not state their own."""
    leakage_mw: Annotated[Power, Field(alias="leakage")] = Field(default="0 mW", alias="leakage", validate_default=True)
    """Idle power of the chip; it burns for the whole run."""
    unconfirmed: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Dotted paths of fields whose value nobody could confirm in the source; `accelsim check` shows them."""

    @model_validator(mode="after")
    def _check_ascending(self) -> EnergyTable:
        for label, sizes in (("multiply", [point.bits for point in self.multiply]),
                             ("add", [point.bits for point in self.add]),
                             ("float_multiply", [point.bits for point in self.float_multiply]),
                             ("float_add", [point.bits for point in self.float_add]),
                             ("sram", [point.capacity_bytes for point in self.sram])):
            if sizes != sorted(set(sizes)):
                raise ValueError(f"{label}: expected points in ascending order without repetition, got {sizes}")
        document = self.to_document() if self.unconfirmed else {}
        for index, path in enumerate(self.unconfirmed):
            if mistake := path_mistake(path, document):
                raise ValueError(f"unconfirmed.{index}: {mistake}")
        return self
