"""The whole chip, as the YAML describes it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from accelsim.hardware.accumulators import Accumulators
from accelsim.hardware.dma import Dma
from accelsim.hardware.document_path import path_mistake
from accelsim.hardware.dram import Dram
from accelsim.hardware.energy_table import EnergyTable
from accelsim.hardware.memory import Memory
from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.quantity import Frequency, Power, Spec
from accelsim.hardware.requantizer import Requantizer
from accelsim.hardware.vector_unit import VectorUnit

if TYPE_CHECKING:
    from accelsim.numerics.register import Register
    from accelsim.numerics.rule import Rule


class Accelerator(Spec):
    """A clock, a grid of PEs with accumulators and requantizer, a vector unit, buffers, DMA, DRAM and an energy table."""

    schema_version: Literal[1]
    """Version of this format: 1."""
    name: Annotated[str, Field(min_length=1)]
    """What reports call it."""
    description: str = ""
    """A sentence for people."""
    clock_hz: Annotated[Frequency, Field(alias="clock")]
    """Frequency of everything on the chip ("800 MHz")."""
    pe_grid: PeGrid
    """The processing elements."""
    accumulators: Accumulators
    """The partial sums."""
    requantizer: Requantizer
    """From accumulators to output integers."""
    vector_unit: VectorUnit
    """Everything that is not a matrix product."""
    memory: Memory
    """On-chip buffers."""
    dma: Dma
    """Between DRAM and buffers."""
    dram: Dram
    """Outside the chip."""
    energy: EnergyTable
    """Name of a shipped energy table, or a table of one's own in place."""
    leakage_mw: Annotated[Power | None, Field(alias="leakage")] = Field(default=None, alias="leakage")
    """Idle power of this chip ("50 mW"); left out, the energy table's figure holds."""
    unconfirmed: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Dotted paths of fields whose value nobody could confirm in its source; `accelsim check` shows them."""

    @field_validator("schema_version", mode="before")
    @classmethod
    def _check_version(cls, value: object) -> object:
        if isinstance(value, bool) or value != 1:
            raise ValueError("expected 1, the version of this format that accelsim reads")
        return value

    @model_validator(mode="after")
    def _check_combination(self) -> Accelerator:
        if self.accumulators.block_entries < 1:
            raise ValueError("accumulators.entries: expected at least 2 with double_buffered accumulators, got 1")
        operand = self.pe_grid.precision.widest_operand_bits
        for path, bits in (("accumulators.bits", self.accumulators.bits),
                           ("pe_grid.partial_sum_bits", self.pe_grid.partial_sum_bits)):
            if bits is not None and bits < operand:
                raise ValueError(f"{path}: expected at least the operands' {operand} bits, got {bits}")
        if self.pe_grid.precision.uses_float and not (self.energy.float_multiply and self.energy.float_add):
            raise ValueError(f"pe_grid.precision: expected an energy table with floating point operations, got "
                             f"{self.energy.name}")
        self._check_energy_unit()
        document = self.to_document() if self.unconfirmed else {}
        for index, path in enumerate(self.unconfirmed):
            if mistake := path_mistake(path, document):
                raise ValueError(f"unconfirmed.{index}: {mistake}")
        return self

    def _check_energy_unit(self) -> None:
        """Costs relative to a MAC cannot be added to picojoules."""
        if self.energy.unit == "pJ":
            return
        for path, own in (("dram.energy", self.dram.energy_pj_per_bit), ("leakage", self.leakage_mw)):
            if own:
                raise ValueError(f"{path}: expected none beside an energy table in multiples of a {self.energy.unit}, "
                                 f"got {own!r}")

    @property
    def peak_macs_per_cycle(self) -> float:
        """MACs a cycle at the native operand widths; an int where it is whole."""
        weight_bits, input_bits = self.pe_grid.precision.native_bits
        return self.peak_macs_per_cycle_at(weight_bits=weight_bits, input_bits=input_bits)

    def peak_macs_per_cycle_at(self, *, weight_bits: int, input_bits: int) -> float:
        """MACs a cycle for operands of these widths, which must fit; an int where it is whole."""
        peak = self.pe_grid.peak_macs_per_cycle(weight_bits=weight_bits, input_bits=input_bits)
        return peak.numerator if peak.denominator == 1 else float(peak)

    @property
    def accumulator_lanes(self) -> int:
        """Accumulator memories side by side: one per column (dot_product: per row) of the grid and pixel."""
        grid = self.pe_grid
        return (grid.rows if grid.dataflow == "dot_product" else grid.columns) * grid.pixels

    @property
    def accumulator_bytes(self) -> int:
        """Size of all accumulators together."""
        return -(-self.accumulators.entries * self.accumulator_lanes * self.accumulators.bits // 8)

    @property
    def rule(self) -> Rule:
        """How its requantizer and vector unit make integers."""
        return replace(self.requantizer.rule, table_bits=self.vector_unit.table_bits)

    @property
    def partial_sum_register(self) -> Register | None:
        """What the wires between two PEs keep of a column's exact sum; None where no partial sum travels between PEs."""
        if not self.pe_grid.has_column_sums:
            return None
        return self.accumulators.register_of(self.partial_sum_bits)

    @property
    def partial_sum_bits(self) -> int:
        """Width at which the PEs add: the wires between them, or the accumulators' where there are no such wires."""
        return self.pe_grid.partial_sum_bits or self.accumulators.bits

    @property
    def dram_pj_per_bit(self) -> float:
        own = self.dram.energy_pj_per_bit
        return self.energy.dram_pj_per_bit if own is None else own

    @property
    def idle_mw(self) -> float:
        return self.energy.leakage_mw if self.leakage_mw is None else self.leakage_mw

    @property
    def dram_bytes_per_cycle(self) -> float:
        return self.dram.bandwidth_bytes_per_second / self.clock_hz

    @property
    def read_latency_cycles(self) -> int:
        return self.dram.read_latency.to_cycles(clock_hz=self.clock_hz)

    @property
    def write_latency_cycles(self) -> int:
        return self.dram.write_latency.to_cycles(clock_hz=self.clock_hz)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that a run depends on; names and descriptions do not count."""
        document = self.to_document()
        for label in ("name", "description", "unconfirmed"):
            del document[label]
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
