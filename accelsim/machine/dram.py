"""The DRAM: one data bus, granted to one transfer after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any, NamedTuple

import simpy

from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.recorder import Recorder
from accelsim.units import transfer_cycles


class Grant(NamedTuple):
    """Bus time of a transfer.

    `first` and `last` cycle; `busy_cycles`, for how much of its time in line the bus moved something else.
    """

    first: int
    last: int
    busy_cycles: int


class Dram:
    """Keeps the bus busy for a transfer's bytes, in the order of its arbiter; stateless otherwise (no rows, no banks).

    Bus time is booked at the grant: while one transfer moves, the next in line may book the time right behind it.
    """

    def __init__(self, environment: simpy.Environment, accelerator: Accelerator, recorder: Recorder) -> None:
        self._environment = environment
        self._clock_hz = accelerator.clock_hz
        self._bytes_per_second = accelerator.dram.bandwidth_bytes_per_second
        self._recorder = recorder
        self._booked_cycles = 0
        self._booked_until = 0
        self._arbiter: ProgramOrder | RoundRobin
        if accelerator.dma.arbitration == "program_order":
            self._arbiter = ProgramOrder(environment)
        else:
            self._arbiter = RoundRobin(environment, queues=accelerator.dma.queues)

    def bus_cycles(self, bus_bytes: int) -> int:
        return transfer_cycles(transferred_bytes=bus_bytes, bytes_per_second=self._bytes_per_second,
                               clock_hz=self._clock_hz)

    def book(self, *, ticket: int, queue: int, bus_bytes: int) -> Generator[Any, Any, Grant]:
        """Wait for the bus in turn.

        `ticket` is the transfer's place in the program, `queue` the DMA queue that asks.
        """
        cycles = self.bus_cycles(bus_bytes)
        ready = int(self._environment.now)
        ahead = max(0, self._booked_until - ready) - self._booked_cycles
        start: int = yield from self._arbiter.grant(ticket, queue, cycles)
        busy = min(start - ready, ahead + self._booked_cycles)
        self._booked_cycles += cycles
        self._booked_until = start + cycles
        self._recorder.bandwidth(start, start + cycles, bus_bytes)
        return Grant(start, start + cycles, busy)


class ProgramOrder:
    """Grants by ticket: the n-th transfer of the program is the n-th on the bus, however early a later one is ready."""

    def __init__(self, environment: simpy.Environment) -> None:
        self._environment = environment
        self._next_ticket = 0
        self._free_at = 0
        self._waiting: dict[int, simpy.Event] = {}

    def grant(self, ticket: int, queue: int, cycles: int) -> Generator[Any, Any, int]:
        if ticket != self._next_ticket:
            event = self._waiting[ticket] = self._environment.event()
            yield event
        start = max(int(self._environment.now), self._free_at)
        self._free_at = start + cycles
        self._next_ticket += 1
        following = self._waiting.pop(self._next_ticket, None)
        if following is not None:
            following.succeed()
        return start


class RoundRobin:
    """Grants to the queues in turn, among those that are ready when the bus becomes free."""

    def __init__(self, environment: simpy.Environment, *, queues: int) -> None:
        self._environment = environment
        self._ready: list[deque[simpy.Event]] = [deque() for _ in range(queues)]
        self._last_queue = queues - 1
        self._is_busy = False

    def grant(self, ticket: int, queue: int, cycles: int) -> Generator[Any, Any, int]:
        if self._is_busy:
            event = self._environment.event()
            self._ready[queue].append(event)
            yield event
        self._is_busy = True
        self._last_queue = queue
        self._environment.process(self._release_after(cycles))
        return int(self._environment.now)

    def _release_after(self, cycles: int) -> Generator[Any, Any, None]:
        yield self._environment.timeout(cycles)
        self._is_busy = False
        count = len(self._ready)
        for step in range(1, count + 1):
            queue = (self._last_queue + step) % count
            if self._ready[queue]:
                self._is_busy = True  # nobody may slip in before the woken process runs
                self._ready[queue].popleft().succeed()
                return
