"""When the last store of a grid layer's program is over, without the machine that executes it.

The machine grants the bus, room in the buffers and accumulators in program order, so every event time is a sum or a maximum
of earlier ones, or the first time at which enough room is free (ARCHITECTURE.md, "Program order, deadlock, monotonicity").
This evaluates these recurrences directly, a tenth of the machine's work, and nothing else: no stalls, counts or peaks.
It serves to find the best of a few programs; the one that is kept runs on the machine, which must agree.

Of the n-th transfer with ticket n, the p-th compute step and the r-th requantization::

    asked_n     = end of the transfer before it in its queue
    ready_n     = max(asked_n, room for a load in its region, or the block of a store)
    start_n     = max(ready_n, bus free)             bus free = start_n + bus cycles
    end_n       = start_n + max(bus cycles, requests * issue) + latency
    preloaded_p = max(preloaded_(p-1), shadow_(p-1), its loads) + preload cycles
    start_p     = max(end_(p-1), preloaded_p, its loads, accumulators, shadow_(p-1) + interval)
    shadow_p    = start_p + start of its last fold + what slow ports add
    end_p       = start_p + max(stream cycles, port cycles)
    end_r       = max(end_(r-1), end_p, room for its outputs, end_p + tail) + requantization cycles
"""

from __future__ import annotations

from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.memory import OPERANDS, Operand
from accelsim.mapping.fold import StreamTiming
from accelsim.mapping.program import Compute, LayerProgram, Load, Requantize, Store
from accelsim.units import transfer_cycles

#: Of a time that is not known yet.
_UNKNOWN = -1


def program_cycles(program: LayerProgram, accelerator: Accelerator, *, delays_stores: bool = False) -> int | None:
    """Cycles of a program by itself, from empty buffers to its last store; None for programs that the recurrences above do
    not cover: of the vector unit, with tiles that stay on chip, or with transfers that overtake each other.

    With `delays_stores` they are those of the same tiling with a `store_lag`: its program differs only in that a store
    stands behind the loads before the next compute step, so that it need not be built.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> from accelsim.simulation import plan, simulate
    >>> from accelsim.workload.load import load_network
    >>> chip, network = load_accelerator("edge_16x16"), load_network("mlperf_tiny_autoencoder")
    >>> program_cycles(plan(chip, network).layers[0], chip) == simulate(chip, network).layers[0].total_cycles
    True
    """
    if program.unit != "pe_grid" or program.placement.keeps_output or program.prefetch or program.prefetched:
        return None
    if accelerator.dma.arbitration != "program_order":
        return None
    return _Evaluation(program, accelerator, delays_stores).cycles()


def _delayed(program: LayerProgram) -> list[Load | Store]:
    """The transfers in their order, but each store only before the next compute step."""
    found: list[Load | Store] = []
    held: list[Load | Store] = []
    for step in program.steps:
        if isinstance(step, Store):
            held.append(step)
        elif isinstance(step, Load):
            found.append(step)
        elif isinstance(step, Compute):
            found += held
            held.clear()
    return found + held


class _Room:
    """A region: who took how much in turn, and what was given back when."""

    __slots__ = ("capacity", "given", "given_at", "last_taken_at", "place", "taken")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken = 0
        self.last_taken_at = 0
        self.given = [0]
        self.given_at = [0]
        self.place = 0

    def take(self, size: int, asked: int) -> int:
        """When this much is had; `_UNKNOWN` while the steps that give enough back are not."""
        need = self.taken + size - self.capacity
        given, place = self.given, self.place
        while given[place] < need:
            place += 1
            if place == len(given):
                return _UNKNOWN
        self.place = place
        self.taken += size
        self.last_taken_at = max(asked, self.last_taken_at, self.given_at[place])
        return self.last_taken_at

    def give(self, size: int, at: int) -> bool:
        """Whether it comes back in the order of time."""
        if at < self.given_at[-1]:
            return False
        self.given.append(self.given[-1] + size)
        self.given_at.append(at)
        return True


class _Evaluation:
    """Transfers, compute steps and requantizations, each as far as what they wait for is known, until all are."""

    def __init__(self, program: LayerProgram, accelerator: Accelerator, delays_stores: bool) -> None:
        self._chip = accelerator
        self._transfers = _delayed(program) if delays_stores else [
            step for step in program.steps if isinstance(step, Load | Store)]
        self._computes = [step for step in program.steps if isinstance(step, Compute)]
        self._requantizes = [step for step in program.steps if isinstance(step, Requantize)]
        self._rooms = {operand: _Room(program.region_bytes[operand]) for operand in OPERANDS}
        self._landed = [_UNKNOWN] * len(program.steps)
        self._loads: dict[int, tuple[Operand, int]] = {
            step.number: (step.operand, step.tile_bytes) for step in self._transfers if isinstance(step, Load)}
        self._complete: dict[int, tuple[int, int]] = {}
        self._finished: dict[int, int] = {}
        self._queue_free = [0] * accelerator.dma.queues
        self._latencies = (accelerator.read_latency_cycles, accelerator.write_latency_cycles, accelerator.dma.issue_cycles)
        self._bus_free = 0
        self._bus_cycles: dict[int, int] = {}
        self._intervals: dict[tuple[int, int], int] = {}
        self._preloaded = self._shadow = self._stream_end = self._next_start = self._requantized = 0
        self._accumulators_free = [0] * (2 if accelerator.accumulators.double_buffered else 1)
        self._blocks = 0
        self._done = [0, 0, 0]
        self._last_store = 0

    def cycles(self) -> int | None:
        counts = [len(self._transfers), len(self._computes), len(self._requantizes)]
        while self._done != counts:
            before = tuple(self._done)
            if not self._transfer():
                return None
            self._compute()
            self._requantize()
            if tuple(self._done) == before:
                return None
        return self._last_store

    def _transfer(self) -> bool:
        """Those whose room or block is known; False where one overtakes another."""
        queues = self._queue_free
        read, write, issue = self._latencies
        for place in range(self._done[0], len(self._transfers)):
            step = self._transfers[place]
            queue = place % len(queues)
            if isinstance(step, Load):
                ready = self._rooms[step.operand].take(step.tile_bytes, queues[queue])
                latency = read
            else:
                finished = self._finished.get(step.block, _UNKNOWN)
                ready = max(queues[queue], finished) if finished != _UNKNOWN else _UNKNOWN
                latency = write
            if ready == _UNKNOWN:
                break
            cycles = self._on_bus(step.bus_bytes)
            start = max(ready, self._bus_free)
            self._bus_free = start + cycles
            end = start + max(cycles, step.requests * issue) + latency
            queues[queue] = end
            if isinstance(step, Load):
                self._landed[step.number] = end
            elif not self._rooms["outputs"].give(step.tile_bytes, end):
                return False
            else:
                self._last_store = end
            self._done[0] = place + 1
        return True

    def _on_bus(self, bus_bytes: int) -> int:
        cycles = self._bus_cycles.get(bus_bytes)
        if cycles is None:
            cycles = self._bus_cycles[bus_bytes] = transfer_cycles(
                transferred_bytes=bus_bytes, bytes_per_second=self._chip.dram.bandwidth_bytes_per_second,
                clock_hz=self._chip.clock_hz)
        return cycles

    def _compute(self) -> None:
        """Those whose loads have landed and whose accumulators are known to become free."""
        landed, computes = self._landed, self._computes
        for place in range(self._done[1], len(computes)):
            step = computes[place]
            known = [landed[load] for load in step.needs_preloaded]
            streamed = [landed[load] for load in step.needs_streamed]
            if _UNKNOWN in known or _UNKNOWN in streamed:
                break
            start = self._next_start
            if step.is_first:
                if self._blocks == len(self._accumulators_free):
                    break
                start = max(start, self._accumulators_free[self._blocks])
                self._blocks += 1
            timing = step.timing
            self._preloaded = max(self._preloaded, self._shadow, *known) + timing.preload_cycles
            start = max(start, self._stream_end, self._preloaded, *streamed)
            stream, ports = timing.stream_cycles, step.port_cycles
            self._shadow = start + timing.last_start_cycles + max(0, ports - stream)
            self._stream_end = end = start + max(stream, ports)
            for load in step.frees:
                operand, size = self._loads[load]
                self._rooms[operand].give(size, end)
            if step.is_last:
                self._complete[step.block] = end, end + timing.tail_cycles
            self._done[1] = place + 1
            if place + 1 < len(computes):
                self._next_start = self._shadow + self._interval(timing, computes[place + 1].timing)

    def _interval(self, before: StreamTiming, after: StreamTiming) -> int:
        """From a fold's start to the next one's; steps of one shape share their timing."""
        key = id(before), id(after)
        cycles = self._intervals.get(key)
        if cycles is None:
            cycles = self._intervals[key] = before.next_start_cycles(self._chip.pe_grid, after)
        return cycles

    def _requantize(self) -> None:
        """Those whose block is complete and whose outputs' room is known."""
        requantizer = self._chip.requantizer
        for place in range(self._done[2], len(self._requantizes)):
            step = self._requantizes[place]
            if step.block not in self._complete:
                break
            ended, complete = self._complete[step.block]
            had = self._rooms["outputs"].take(step.output_bytes, max(self._requantized, ended))
            if had == _UNKNOWN:
                break
            self._requantized = max(had, complete) + requantizer.latency_cycles + -(-step.outputs // requantizer.lanes)
            self._accumulators_free.append(self._requantized)
            self._finished[step.block] = self._requantized
            self._done[2] = place + 1
