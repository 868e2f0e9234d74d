"""The DMA engine: in-order queues of transfers between DRAM and the regions."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import simpy

from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.dram import Dram
from accelsim.machine.layer_state import LayerState
from accelsim.machine.recorder import Recorder
from accelsim.mapping.program import Load, Store


class Dma:
    """Deals the transfers of the program to its queues in turn; each queue has one transfer in flight.

    A load waits for room, then for the DRAM's grant; its first byte comes one read latency later. A store waits for its
    outputs, then for the grant; it is over one write latency after its last byte. Requests leave `issue_cycles`
    apart, which may be slower than the bus.
    """

    def __init__(
        self, environment: simpy.Environment, accelerator: Accelerator, dram: Dram, recorder: Recorder
    ) -> None:
        self._environment = environment
        self._dram = dram
        self._recorder = recorder
        self._issue_cycles = accelerator.dma.issue_cycles
        self._read_latency = accelerator.read_latency_cycles
        self._write_latency = accelerator.write_latency_cycles
        self._next_ticket = 0
        self._queues: list[simpy.Process | None] = [None] * accelerator.dma.queues

    def start(self, transfers: Sequence[tuple[Load | Store, LayerState]]) -> None:
        """Append transfers, in program order, each with the layer that it works for."""
        dealt: list[list[tuple[int, Load | Store, LayerState]]] = [[] for _ in self._queues]
        for transfer, state in transfers:
            dealt[self._next_ticket % len(self._queues)].append((self._next_ticket, transfer, state))
            self._next_ticket += 1
        for queue, work in enumerate(dealt):
            if work:
                self._queues[queue] = self._environment.process(self._run(queue, work, self._queues[queue]))

    def _run(
        self, queue: int, work: list[tuple[int, Load | Store, LayerState]], earlier: simpy.Process | None
    ) -> Generator[Any, Any, None]:
        if earlier is not None and earlier.is_alive:
            yield earlier
        for ticket, transfer, state in work:
            if isinstance(transfer, Load):
                yield from self._load(queue, ticket, transfer, state)
            else:
                yield from self._store(queue, ticket, transfer, state)

    def _load(self, queue: int, ticket: int, load: Load, state: LayerState) -> Generator[Any, Any, None]:
        yield from state.regions[load.operand].acquire(turn=state.turns[load.number], size_bytes=load.tile_bytes)
        ready = self._now
        grant = yield from self._dram.book(ticket=ticket, queue=queue, bus_bytes=load.bus_bytes)
        end = max(grant.last, grant.first + load.requests * self._issue_cycles) + self._read_latency
        yield self._environment.timeout(end - self._now)
        if state.carrier is not None:
            state.carrier.load(load)
        state.count_load(load, grant)
        state.arrive(load.number, grant)
        self._recorder.span(f"dma.{queue}", f"load {load.operand}", state.name, ready, end, load.tensor)

    def _store(self, queue: int, ticket: int, store: Store, state: LayerState) -> Generator[Any, Any, None]:
        yield from state.wait_for_outputs(store.block)
        ready = self._now
        grant = yield from self._dram.book(ticket=ticket, queue=queue, bus_bytes=store.bus_bytes)
        end = max(grant.last, grant.first + store.requests * self._issue_cycles) + self._write_latency
        yield self._environment.timeout(end - self._now)
        if state.carrier is not None:
            state.carrier.store(store)
        state.count_store(store, grant)
        state.regions["outputs"].release(store.tile_bytes)
        state.retire()
        self._recorder.span(f"dma.{queue}", "store outputs", state.name, ready, end, store.tensor)

    @property
    def _now(self) -> int:
        return int(self._environment.now)
