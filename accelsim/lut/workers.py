"""Who runs the jobs of a table: this process, several processes of this machine, or a cluster."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Protocol

from accelsim.errors import TableError
from accelsim.lut.layer_cost import LayerCost
from accelsim.lut.layer_job import LayerJob

#: What a job gave: a cost a width of accumulators, or what is wrong with its layer.
Outcome = tuple[LayerCost, ...] | str

#: Pools that may break, one after the other, before the build gives up.
_MOST_BROKEN_POOLS = 3

#: New objects between two collections of a worker's garbage.
_COLLECTED_TUPLES = 100_000

#: Jobs in the hands of a pool, for each of its workers: enough that none waits for the next.
_JOBS_AHEAD = 4


class Workers(Protocol):
    """Runs jobs, in any order."""

    def outcomes(self, jobs: Sequence[LayerJob]) -> Iterator[tuple[int, Outcome]]:
        """(place of the job, what it gave), each as soon as it is known. Closing the iterator ends the work."""


class ThisProcess:
    """One job after the other, here."""

    def outcomes(self, jobs: Sequence[LayerJob]) -> Iterator[tuple[int, Outcome]]:
        for place, job in enumerate(jobs):
            yield place, job.run()


class Processes:
    """Processes of this machine, started afresh (spawned), so that threads and files of this one do no harm. They end with
    this process, however it ends. If one is killed, the jobs that it had are given to new ones.

    Parameters
    ----------
    count : of processes, at least 1; no more are started than there are jobs.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise TableError(f"expected at least 1 worker, got {count}", field="workers")
        self.count = count

    def outcomes(self, jobs: Sequence[LayerJob]) -> Iterator[tuple[int, Outcome]]:
        """As of `Workers`.

        Raises
        ------
        TableError : processes that die again and again.
        """
        left = dict(enumerate(jobs))
        for _ in range(_MOST_BROKEN_POOLS):
            try:
                for place, outcome in self._of_one_pool(dict(left)):
                    del left[place]
                    yield place, outcome
                return
            except BrokenProcessPool:
                continue
        raise TableError(f"worker processes were killed {_MOST_BROKEN_POOLS} times, {len(left)} of {len(jobs)} layers are "
                         "missing; with fewer workers each has more memory", field="workers")

    def _of_one_pool(self, jobs: dict[int, LayerJob]) -> Iterator[tuple[int, Outcome]]:
        waiting = iter(jobs.items())
        pool = ProcessPoolExecutor(min(self.count, len(jobs)), mp_context=multiprocessing.get_context("spawn"),
                                   initializer=_begin)
        running: dict[Future[Outcome], int] = {}
        try:
            for place, job in waiting:
                running[pool.submit(job.run)] = place
                if len(running) == _JOBS_AHEAD * self.count:
                    break
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    outcome = future.result()
                    for place, job in waiting:
                        running[pool.submit(job.run)] = place
                        break
                    yield running.pop(future), outcome
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """In a new worker: Ctrl-C is the parent's to answer, and whoever loses the parent ends too. Programs are many small
    tuples without cycles, which the garbage collector need not walk every few hundred of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(_COLLECTED_TUPLES, 20, 50)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)
