"""The requantizer, clock by clock: a row of lanes enters in each, and leaves it after its latency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.requantizer import Requantizer
from accelsim.machine.stepped.lines import Delay
from accelsim.machine.stepped.recorder import ClockRecorder


class Requantized(NamedTuple):
    """Outputs in the order in which they were read, and the clocks from the first reading to the last writing."""

    outputs: NDArray[Any]
    cycles: int


def clock_requantizer(spec: Requantizer, outputs: NDArray[Any], *, recorder: ClockRecorder | None = None) -> Requantized:
    """Move outputs through the requantizer's pipeline.

    In each clock the next `lanes` accumulators are read; `latency_cycles` later their outputs are written, in the same clock
    if that is 0. What each lane computes is the rule's (`numerics.requantization`), the same for all: it comes in as
    `outputs`, and rides through the pipeline to its place.

    Parameters
    ----------
    outputs : of a block, in the order of reading, (count,).
    recorder : called in every clock with "reading" and "writing", outputs (lanes,), and "reading_place" and
        "writing_place", their places in the block from 1 on, 0 for idle lanes.

    Examples
    --------
    >>> clock_requantizer(Requantizer(lanes=4, latency_cycles=3), np.arange(10)).cycles  # 3 + ceil(10 / 4)
    6
    """
    lanes, latency = spec.lanes, spec.latency_cycles
    reading, reading_place = np.zeros(lanes, outputs.dtype), np.zeros(lanes, np.int64)
    pipeline = [Delay(latency, (lanes,), kind) for kind in (outputs.dtype, np.int64)] if latency else []
    writing, writing_place = (delay.out for delay in pipeline) if pipeline else (reading, reading_place)
    shown: Mapping[str, NDArray[Any]] = {"reading": reading, "reading_place": reading_place, "writing": writing,
                                         "writing_place": writing_place}
    written = np.zeros_like(outputs)
    cycle = done = 0
    while done < outputs.size:
        first = cycle * lanes
        row = outputs[first:first + lanes]
        reading_place[...] = 0
        reading[:row.size], reading_place[:row.size] = row, np.arange(first + 1, first + row.size + 1)
        chosen = writing_place > 0
        written[writing_place[chosen] - 1] = writing[chosen]
        done += int(np.count_nonzero(chosen))
        if recorder is not None:
            recorder.clock(cycle, shown)
        for delay, values in zip(pipeline, (reading, reading_place), strict=False):
            delay.clock(values)
        cycle += 1
    return Requantized(written, cycle)
