"""Drives a design in Amaranth's simulator with the beats of cases, and tells what came out and when."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.sim import Simulator

from accelsim.rtl.beats import packed_beat, unpacked_results
from accelsim.rtl.top import Top
from accelsim.rtl.top_ports import layer_ports, load_ports, read_ports, stream_ports


class Outcome(NamedTuple):
    """Of one case: cycles of the grid, cycles of the requantizer, results of each request."""

    grid_cycles: int
    requantize_cycles: int
    results: list[tuple[int, ...]]


def drive(design, cases, *, request_at=None, most_cycles=20_000):
    """Outcomes of cases that follow one another without a reset.

    `request_at`, place of a case -> cycle from its first beat, makes the case's requests then, whether its folds are done or
    not.
    """
    top, outcomes = Top(design), []
    simulator = Simulator(top)
    simulator.add_clock(1e-9)

    async def bench(context):
        for place, case in enumerate(cases):
            outcomes.append(await _run(context, design, top, case, (request_at or {}).get(place), most_cycles))

    simulator.add_testbench(bench)
    simulator.run()
    return outcomes


class _Channel:
    """Offers beats in order, one after the other as they are taken."""

    def __init__(self, top, name, ports, beats):
        self.top, self.name, self.beats, self.place = top, name, [packed_beat(ports, beat) for beat in beats], 0

    def offer(self, context, is_allowed=True):
        self.is_valid = is_allowed and self.place < len(self.beats)
        context.set(getattr(self.top, f"{self.name}_valid"), int(self.is_valid))
        if self.is_valid:
            for port, value in self.beats[self.place].items():
                context.set(_bits(getattr(self.top, port)), value)

    def take(self, context):
        """Whether the beat is being taken in this cycle."""
        taken = self.is_valid and (self.name == "read" or context.get(getattr(self.top, f"{self.name}_ready")))
        self.place += bool(taken)
        return bool(taken)


def _bits(port):
    return port.as_value() if hasattr(port, "as_value") else port


async def _run(context, design, top, case, request_at, most_cycles):
    for port, value in packed_beat(layer_ports(design), case.layer).items():
        context.set(_bits(getattr(top, port)), value)
    channels = [_Channel(top, "stream", stream_ports(design), case.streams)]
    if case.loads:
        channels.insert(0, _Channel(top, "load", load_ports(design), case.loads))
    reads = _Channel(top, "read", read_ports(design), [read.beat for read in case.reads])
    first = last_done = last_output = None
    done, results = 0, []
    for cycle in range(most_cycles):
        for channel in channels:
            channel.offer(context)
        is_due = reads.place < len(case.reads) and done >= case.reads[reads.place].after
        if request_at is not None:
            is_due = first is not None and cycle - first >= request_at
        reads.offer(context, is_due)
        if sum([channel.take(context) for channel in channels]) and first is None:
            first = cycle
        reads.take(context)
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


def wrong_outputs(case, outcome):
    """How many integers differ from the expected ones."""
    return sum(value is not None and value != got for read, results in zip(case.reads, outcome.results, strict=True)
               for value, got in zip(read.expected, results, strict=True))
