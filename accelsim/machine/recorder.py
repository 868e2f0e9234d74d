"""Collects spans and samples of a run; the one that collects nothing costs next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accelsim.results.span import Sample, Span, Timeline

if TYPE_CHECKING:
    import simpy


class Recorder:
    """Records nothing: for runs without a timeline."""

    def span(self, unit: str, label: str, layer: str, start: int, end: int, detail: str = "") -> None:
        """A unit worked from `start` to `end`."""

    def level(self, region: str, used_bytes: int) -> None:
        """A region's occupancy changed now."""

    def bandwidth(self, start: int, end: int, bus_bytes: int) -> None:
        """The DRAM bus moves these bytes from `start` to `end`."""

    def timeline(self) -> Timeline | None:
        return None


class TimelineRecorder(Recorder):
    """Records everything."""

    def __init__(self, environment: simpy.Environment) -> None:
        self._environment = environment
        self._spans: list[Span] = []
        self._samples: list[Sample] = []

    def span(self, unit: str, label: str, layer: str, start: int, end: int, detail: str = "") -> None:
        self._spans.append(Span(unit, label, layer, start, end, detail))

    def level(self, region: str, used_bytes: int) -> None:
        self._samples.append(Sample(f"buffer.{region}", int(self._environment.now), used_bytes))

    def bandwidth(self, start: int, end: int, bus_bytes: int) -> None:
        if end > start:
            self._samples.append(Sample("dram", start, bus_bytes / (end - start)))
            self._samples.append(Sample("dram", end, 0.0))

    def timeline(self) -> Timeline:
        """Spans by start, samples by cycle; where one sample ends as the next begins, the later call wins."""
        return Timeline(tuple(sorted(self._spans, key=lambda span: (span.start_cycle, span.end_cycle))),
                        tuple(sorted(self._samples, key=lambda sample: sample.cycle)))
