"""Where the cycles of a layer went, seen from the unit that executes it."""

from __future__ import annotations


class Ledger:
    """Charges every cycle of a layer once: to compute, or to one cause of stall.

    The cursor is the first cycle not yet charged; charges up to a cycle that the cursor has passed change nothing. Compute
    that goes on by itself (results still draining out of the grid) is announced with `keep_busy` and takes precedence over
    whatever the unit waits for meanwhile.
    """

    def __init__(self, start_cycle: int) -> None:
        self.compute_cycles = 0
        self.stall_cycles: dict[str, int] = {}
        self._cursor = start_cycle
        self._busy_until = start_cycle

    def compute(self, until: int) -> None:
        """The unit works until this cycle."""
        if until > self._cursor:
            self.compute_cycles += until - self._cursor
            self._cursor = until

    def keep_busy(self, until: int) -> None:
        """Work that is under way goes on until this cycle, whatever else happens."""
        self._busy_until = max(self._busy_until, until)

    def stall(self, cause: str, until: int) -> None:
        """The unit waits until this cycle, for this cause."""
        self.compute(min(self._busy_until, until))
        if until > self._cursor:
            self.stall_cycles[cause] = self.stall_cycles.get(cause, 0) + until - self._cursor
            self._cursor = until
