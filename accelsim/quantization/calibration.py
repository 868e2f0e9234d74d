"""Ranges of activations: the float network runs over a calibration set, and observers look at its tensors batch by batch.

No activation outlives its batch. Range setters that must see the data more than once (a histogram needs its ends first) make
the set run again, and then only what they ask for is computed.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from numpy.typing import NDArray

from accelsim.errors import NumericsError, WorkloadError
from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.float_session import FloatSession
from accelsim.quantization.ranges.observer import Observer, Range, ranges_of

#: Told after each batch: batches so far, of all passes as far as that is known, and what is being done.
Told = Callable[[int, int, str], None]

_WORKERS = os.cpu_count() or 1


class Observed(Protocol):
    """What one observer watches: tensors of the float network, whose values count as one."""

    @property
    def owners(self) -> tuple[str, ...]: ...


def observed_ranges(model: FloatModel, observers: Mapping[str, Observer], groups: Mapping[str, Observed],
                    data: CalibrationSet, told: Told | None = None) -> dict[str, Range]:
    """The range that each observer finds.

    Parameters
    ----------
    model : the network in floating point.
    observers : by group.
    groups : the tensors of each group, by its name (`Placement.groups`).
    data : to calibrate on; read as often as some observer asks.
    told : for a progress bar.

    Raises
    ------
    WorkloadError : what the set raises; NaN or infinities in a tensor.
    """
    ranges: dict[str, Range] = {}
    count, passes = 0, max((observer.passes for observer in observers.values()), default=0)
    for number in range(1, passes + 1):
        active = {name: observer for name, observer in observers.items() if observer.passes >= number}
        tensors = [tensor for name in active for tensor in groups[name].owners]
        if all(observer.is_quick for observer in active.values()):
            runs = _run_each(FloatSession(model, tensors, memories=1), data)
        else:  # half of the processors compute a batch while the others look at the one before
            runs = _run_ahead(FloatSession(model, tensors, memories=2, threads=max(1, _WORKERS // 2)), data)
        with ThreadPoolExecutor(_WORKERS) as pool:
            for values in runs:
                _observe(values, active, groups, model, pool)
                count += 1
                if told is not None:
                    told(count, max(count, passes * data.batches), f"calibration, pass {number} of {passes}")
            for observer in active.values():
                observer.end_pass()
        over = {name: observer for name, observer in active.items() if observer.passes == number}
        ranges |= zip(over, ranges_of(list(over.values())), strict=True)
    return ranges


def _run_each(session: FloatSession, data: CalibrationSet) -> Iterator[dict[str, NDArray[Any]]]:
    """The tensors of batch after batch."""
    for batch in data:
        yield session.run(batch)


def _run_ahead(session: FloatSession, data: CalibrationSet) -> Iterator[dict[str, NDArray[Any]]]:
    """The tensors of batch after batch; the next one runs while the caller looks at the last."""
    with ThreadPoolExecutor(1) as runner:
        running: Future[dict[str, NDArray[Any]]] | None = None
        for batch in data:
            following = runner.submit(session.run, batch)
            if running is not None:
                yield running.result()
            running = following
        if running is not None:
            yield running.result()


def _observe(values: Mapping[str, NDArray[Any]], active: Mapping[str, Observer], groups: Mapping[str, Observed],
             model: FloatModel, pool: ThreadPoolExecutor) -> None:
    """One batch for every observer; observers are independent of one another, so that several cores can look.

    Each core takes the next one that is left: a task for each would take longer than many of them look.
    """
    left = deque(enumerate(active.items()))
    problems: dict[int, WorkloadError] = {}

    def look() -> None:
        while True:
            try:
                number, (name, observer) = left.popleft()
            except IndexError:
                return
            for tensor in groups[name].owners:
                try:
                    observer.observe(values[tensor])
                except NumericsError as error:
                    problems[number] = WorkloadError(error.problem, file=model.path or None, field=f'tensor "{tensor}"')
                    return

    if all(observer.is_quick for observer in active.values()):
        look()
    else:
        for task in [pool.submit(look) for _ in range(_WORKERS)]:
            task.result()
    if problems:
        raise problems[min(problems)]
