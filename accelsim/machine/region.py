"""Room for one operand in an on-chip buffer."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from accelsim.machine.recorder import Recorder


class Level:
    """Occupancy of a whole buffer: what its regions and the kept activations take together."""

    __slots__ = ("peak_bytes", "used_bytes")

    def __init__(self, used_bytes: int = 0) -> None:
        self.used_bytes = used_bytes
        self.peak_bytes = used_bytes

    def change(self, size_bytes: int) -> None:
        self.used_bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)


class Region:
    """A part of a buffer, taken in turn: the n-th tile of the program gets its room before the n+1-th, even if the latter
    would fit at once. Tiles of one operand come and go in order, so the region works as a ring; what its wrap-around
    wastes is left out.
    """

    def __init__(
        self, environment: simpy.Environment, *, name: str, capacity_bytes: int, level: Level, recorder: Recorder
    ) -> None:
        self.name = name
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self._level = level
        self._environment = environment
        self._recorder = recorder
        self._next_turn = 0
        self._waiting: dict[int, tuple[int, simpy.Event]] = {}

    def acquire(self, *, turn: int, size_bytes: int) -> Generator[Any, Any, None]:
        """Wait until it is `turn`'s turn and there is room."""
        assert size_bytes <= self.capacity_bytes, f"{self.name}: a tile of {size_bytes} B never fits"
        if turn != self._next_turn or self.used_bytes + size_bytes > self.capacity_bytes:
            event = self._environment.event()
            self._waiting[turn] = (size_bytes, event)
            yield event
        else:
            self._take(size_bytes)

    def release(self, size_bytes: int) -> None:
        self.used_bytes -= size_bytes
        self._level.change(-size_bytes)
        assert self.used_bytes >= 0, f"{self.name}: more released than was taken"
        self._recorder.level(self.name, self.used_bytes)
        self._serve()

    def _take(self, size_bytes: int) -> None:
        self.used_bytes += size_bytes
        self._level.change(size_bytes)
        self._next_turn += 1
        self._recorder.level(self.name, self.used_bytes)
        self._serve()

    def _serve(self) -> None:
        waiter = self._waiting.get(self._next_turn)
        if waiter is not None and self.used_bytes + waiter[0] <= self.capacity_bytes:
            del self._waiting[self._next_turn]
            self._take(waiter[0])
            waiter[1].succeed()
