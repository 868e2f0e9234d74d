"""The accumulators: room for one output block, or for two."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from accelsim.hardware.accumulators import Accumulators as AccumulatorsSpec


class Accumulators:
    """A block takes a half (double buffered) or all of the accumulators from its first product until it is requantized."""

    def __init__(self, environment: simpy.Environment, spec: AccumulatorsSpec) -> None:
        self._environment = environment
        self._free_blocks = 2 if spec.double_buffered else 1
        self._waiter: simpy.Event | None = None

    def acquire(self) -> Generator[Any, Any, None]:
        """Wait for room for one block; only the PE grid asks, so there is one waiter at most."""
        if self._free_blocks == 0:
            self._waiter = self._environment.event()
            yield self._waiter
        self._free_blocks -= 1

    def release(self) -> None:
        self._free_blocks += 1
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            waiter.succeed()
