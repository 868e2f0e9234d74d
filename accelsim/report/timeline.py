"""The timeline as a trace for Perfetto (ui.perfetto.dev) and Chrome (about://tracing).

Times are microseconds with as many decimals as the clock needs; where a cycle has no finite decimal (700 MHz)
a cycle's edge is cut to picoseconds, the same for every span, so neighbours still touch. The exact cycles
stand in each event's arguments.

References
----------
"Trace Event Format", Google, 2016: phases X (complete), C (counter), M (metadata).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from fractions import Fraction

from accelsim.results.network_result import NetworkResult
from accelsim.results.span import Sample, Span

_PROCESS = 1

#: Order of the tracks; DMA queues stand between the layers and the grid.
_FIRST_TRACKS = ("layers",)
_LAST_TRACKS = ("pe_grid", "accumulators", "requantizer", "vector_unit")

#: Digits after the point that a trace may need: a clock of 2^a 5^b Hz has a finite decimal.
_MOST_DECIMALS = 30

_COUNTER_UNITS = {"dram": "bytes_per_cycle"}


def trace_json(result: NetworkResult) -> str:
    """The whole trace: a track of layers, one per unit (more where a unit works on two things at once), and
    counters for buffer occupancy and DRAM bandwidth. The result must have been recorded with a timeline."""
    assert result.timeline is not None, "simulate(records_timeline=True) records the timeline"
    layers = [
        Span("layers", layer.name, layer.name, layer.start_cycle, layer.end_cycle, layer.mapping) for layer in result.layers
    ]
    tracks = _tracks([*layers, *result.timeline.spans])
    clock_hz = result.accelerator.clock_hz
    events = [_metadata("process_name", {"name": f"{result.network} on {result.accelerator.name}"}, 0)]
    for thread, (name, spans) in enumerate(tracks.items(), start=1):
        events += [
            _metadata("thread_name", {"name": name}, thread),
            _metadata("thread_sort_index", {"sort_index": thread}, thread),
        ]
        events += [_complete(span, thread, clock_hz) for span in spans]
    events += [_counter(sample, clock_hz) for sample in result.timeline.samples]
    body = ",\n".join(events)
    return f'{{"displayTimeUnit":"ns","otherData":{_text({"clock_hz": clock_hz})},"traceEvents":[\n{body}\n]}}\n'


def _tracks(spans: Iterable[Span]) -> dict[str, list[Span]]:
    """Spans by track, each in the order of time and free of overlaps."""
    by_unit: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start_cycle, -span.end_cycle)):
        by_unit.setdefault(span.unit, []).append(span)
    middle = sorted(set(by_unit) - {*_FIRST_TRACKS, *_LAST_TRACKS})
    return {
        name: track
        for unit in (*_FIRST_TRACKS, *middle, *_LAST_TRACKS)
        if unit in by_unit
        for name, track in _lanes(unit, by_unit[unit])
    }


def _lanes(unit: str, spans: Iterable[Span]) -> Iterator[tuple[str, list[Span]]]:
    """A viewer only shows spans of one track that follow each other or nest: an overlapping one gets a
    further lane."""
    lanes: list[list[Span]] = []
    for span in spans:
        free = next((lane for lane in lanes if lane[-1].end_cycle <= span.start_cycle), None)
        if free is None:
            lanes.append(free := [])
        free.append(span)
    for place, lane in enumerate(lanes, start=1):
        yield (unit if place == 1 else f"{unit} ({place})"), lane


def microseconds(cycle: int, *, clock_hz: int) -> Fraction:
    """A cycle's edge in microseconds, exact where it has a finite decimal, else cut to picoseconds.

    >>> microseconds(3, clock_hz=800_000_000), microseconds(1, clock_hz=700_000_000)
    (Fraction(3, 800), Fraction(357, 250000))
    """
    time = Fraction(cycle * 10**6, clock_hz)
    return time if 10**_MOST_DECIMALS % time.denominator == 0 else Fraction(time * 10**6 // 1, 10**6)


def _decimal(time: Fraction) -> str:
    """All digits of a finite decimal.

    >>> _decimal(Fraction(3, 800)), _decimal(Fraction(5)), _decimal(Fraction(0))
    ('0.00375', '5', '0')
    """
    places = next(digits for digits in range(_MOST_DECIMALS + 1) if 10**digits % time.denominator == 0)
    digits = str(int(time * 10**places)).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


def _complete(span: Span, thread: int, clock_hz: int) -> str:
    arguments: dict[str, object] = {
        "layer": span.layer,
        "start_cycle": span.start_cycle,
        "end_cycle": span.end_cycle,
    }
    if span.detail:
        arguments["detail"] = span.detail
    start, end = (microseconds(cycle, clock_hz=clock_hz) for cycle in (span.start_cycle, span.end_cycle))
    return (
        f'{{"ph":"X","pid":{_PROCESS},"tid":{thread},"ts":{_decimal(start)},'
        f'"dur":{_decimal(end - start)},"name":'
        f'{_text(span.label)},"cat":{_text(span.unit)},"args":{_text(arguments)}}}'
    )


def _counter(sample: Sample, clock_hz: int) -> str:
    unit = _COUNTER_UNITS.get(sample.counter, "bytes")
    return (
        f'{{"ph":"C","pid":{_PROCESS},"ts":{_decimal(microseconds(sample.cycle, clock_hz=clock_hz))},'
        f'"name":{_text(sample.counter)},"args":{_text({unit: sample.value})}}}'
    )


def _metadata(name: str, arguments: dict[str, object], thread: int) -> str:
    return f'{{"ph":"M","pid":{_PROCESS},"tid":{thread},"name":"{name}","args":{_text(arguments)}}}'


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
