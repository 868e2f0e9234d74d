"""The memory outside the chip."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from accelsim.hardware.quantity import Bandwidth, EnergyPerBit, Size, Spec, Time


class Dram(Spec):
    """Bandwidth and latency, without banks or rows: a transfer waits for its turn, keeps the data bus busy for its bytes
    (whole bursts) and is there one latency later. Latencies of transfers in other queues overlap."""

    bandwidth_bytes_per_second: Annotated[Bandwidth, Field(alias="bandwidth")]
    """Peak of reads and writes together ("25.6 GB/s")."""
    read_latency: Time = Field(default="0 cycles", validate_default=True)
    """From the grant to the first byte ("60 ns" or "50 cycles"; rounded up to the next clock edge)."""
    write_latency: Time = Field(default="0 cycles", validate_default=True)
    """From the last byte to the acknowledgement ("60 ns" or "50 cycles"; rounded up to the next clock edge)."""
    burst_bytes: Annotated[Size, Field(alias="burst")] = Field(default="64 B", alias="burst", validate_default=True)
    """Smallest access ("64 B"): every contiguous run of bytes takes whole bursts of bus time."""
    energy_pj_per_bit: Annotated[EnergyPerBit | None, Field(alias="energy")] = Field(default=None, alias="energy")
    """Energy of a bit read or written ("20 pJ/bit"); left out, the energy table's own figure holds."""
