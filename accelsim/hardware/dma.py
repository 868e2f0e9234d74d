"""The engine that moves tiles between DRAM and the on-chip buffers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accelsim.hardware.quantity import Count, Size, Spec


class Dma(Spec):
    """In-order queues, one transfer in flight in each. A transfer is cut into requests of one burst; a contiguous run of
    bytes needs at least one request."""

    queues: Count = 2
    """Transfers in flight at once; program order deals them to the queues in turn (at least 1)."""
    burst_bytes: Annotated[Size, Field(alias="burst")] = Field(default="64 B", alias="burst", validate_default=True)
    """Largest request ("64 B")."""
    issue_cycles: Annotated[int, Field(ge=0)] = 1
    """Cycles between two requests of one queue (at least 0)."""
    arbitration: Literal["program_order", "round_robin"] = "program_order"
    """Who gets the DRAM next: the transfer that comes first in the program (more bandwidth, room or buffers are then never
    slower), or the ready queues in turn (no such promise)."""
