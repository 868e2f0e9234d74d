"""Drives a design in Amaranth's simulator with the beats of cases, and tells what came out and when."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.sim import Simulator

from accelsim.rtl.beats import packed_beat, port_bits, unpacked_results
from accelsim.rtl.top import Top
from accelsim.rtl.top_ports import bank_ports, layer_ports, load_ports, read_ports, stream_ports, table_ports


class Outcome(NamedTuple):
    """Of one case: cycles of the grid, cycles of the requantizer, results of each request."""

    grid_cycles: int
    requantize_cycles: int
    results: list[tuple[int, ...]]


def drive(design, cases, *, request_at=None, is_offered=None, most_cycles=20_000):
    """Outcomes of cases that follow one another without a reset.

    `request_at`, place of a case -> cycle from its first offer, makes the case's requests then, whether its folds are done
    or not. `is_offered()` says, whenever a beat has been taken, whether the next one is offered in the coming cycle.
    """
    top, outcomes = Top(design), []
    simulator = Simulator(top)
    simulator.add_clock(1e-9)

    async def bench(context):
        for place, case in enumerate(cases):
            outcomes.append(await _run(context, design, top, case, (request_at or {}).get(place), is_offered, most_cycles))

    simulator.add_testbench(bench)
    simulator.run()
    return outcomes


class _Channel:
    """Offers beats in order, one after the other as they are taken."""

    def __init__(self, top, name, ports, beats, is_offered=None):
        self.top, self.name, self.beats, self.place = top, name, [packed_beat(ports, beat) for beat in beats], 0
        self.is_offered, self.is_waiting = is_offered, False

    def offer(self, context, is_allowed=True):
        if self.is_offered is not None and not self.is_waiting:
            is_allowed = is_allowed and self.is_offered()
        self.is_valid = is_allowed and self.place < len(self.beats)
        context.set(getattr(self.top, f"{self.name}_valid"), int(self.is_valid))
        if self.is_valid:
            for port, value in self.beats[self.place].items():
                context.set(_bits(getattr(self.top, port)), value)

    def take(self, context):
        """Go on to the next beat, if this one is being taken in this cycle."""
        taken = self.is_valid and (self.name in ("read", "table") or context.get(getattr(self.top, f"{self.name}_ready")))
        self.place += bool(taken)
        self.is_waiting = self.is_valid and not taken


class _Banks:
    """What stands first in the bank of each PE: its words of one fold after the other."""

    def __init__(self, top, design, folds):
        self.top, self.count = top, design.grid.pes
        (self.port, shape), = bank_ports(design).items()
        self.bits = port_bits(shape) // self.count
        packed = [packed_beat(bank_ports(design), fold)[self.port] for fold in folds]
        mask = (1 << self.bits) - 1
        self.words = [[word >> pe * self.bits & mask for pe in range(self.count)] for word in packed]
        self.places = [0] * self.count

    def offer(self, context):
        heads = 0
        for pe, place in enumerate(self.places):
            heads |= (self.words[place][pe] if place < len(self.words) else 0) << pe * self.bits
        context.set(_bits(getattr(self.top, self.port)), heads)

    def take(self, context):
        taken = context.get(_bits(self.top.takes))
        self.places = [place + (taken >> pe & 1) for pe, place in enumerate(self.places)]


def _bits(port):
    return port.as_value() if hasattr(port, "as_value") else port


async def _run(context, design, top, case, request_at, is_offered, most_cycles):
    for port, value in packed_beat(layer_ports(design), case.layer).items():
        context.set(_bits(getattr(top, port)), value)
    await _write_table(context, design, top, case)
    channels = [_Channel(top, "stream", stream_ports(design), case.streams, is_offered)]
    if not design.is_output_stationary:
        channels.insert(0, _Channel(top, "load", load_ports(design), case.loads, is_offered))
    banks = [_Banks(top, design, case.banks)] if case.banks else []
    reads = _Channel(top, "read", read_ports(design), [read.beat for read in case.reads])
    first = last_done = last_output = None
    done, results = 0, []
    for cycle in range(most_cycles):
        for channel in [*channels, *banks]:
            channel.offer(context)
        is_due = reads.place < len(case.reads) and done >= case.reads[reads.place].after
        if request_at is not None:
            is_due = first is not None and cycle - first >= request_at
        reads.offer(context, is_due)
        if first is None and any(channel.is_valid for channel in channels):
            first = cycle
        for channel in [*channels, *banks, reads]:
            channel.take(context)
        if context.get(top.outputs_valid):
            results.append(unpacked_results(design, context.get(_bits(top.outputs))))
            last_output = cycle
        if context.get(top.fold_done):
            done, last_done = done + 1, cycle
        await context.tick()
        if len(results) == len(case.reads) and last_done is not None and last_done - first + 1 >= case.grid_cycles:
            break
    context.set(top.read_valid, 0)
    for _ in range(design.grid.swap_spacing):  # which counts from the last fold's start, also if that was another case's
        await context.tick()
    assert len(results) == len(case.reads), f"{case.name}: {len(results)} of {len(case.reads)} requests were answered"
    return Outcome(last_done - first + 1, last_output - last_done, results)


async def _write_table(context, design, top, case):
    """What weights are decoded with, an entry a cycle."""
    table = _Channel(top, "table", table_ports(design), case.table) if case.table else None
    while table is not None:
        table.offer(context)
        if not table.is_valid:
            return
        table.take(context)
        await context.tick()


def wrong_outputs(case, outcome):
    """How many integers differ from the expected ones."""
    return sum(value is not None and value != got for read, results in zip(case.reads, outcome.results, strict=True)
               for value, got in zip(read.expected, results, strict=True))


def assert_equal(design, cases):
    """All integers, and the cycles of the closed forms."""
    for case, outcome in zip(cases, drive(design, cases), strict=True):
        assert outcome.grid_cycles == case.grid_cycles, case.name
        assert case.requantize_cycles in (0, outcome.requantize_cycles), case.name
        assert wrong_outputs(case, outcome) == 0, case.name
