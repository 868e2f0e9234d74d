"""Some output channels of a `LayerProblem`, small enough for a processor's cache and independent of all others.

A channel's error depends on its own weights alone. Parts are therefore optimized one by one, on several threads at once, and
the cut does not depend on the number of threads: neither do the integers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from accelsim.errors import NumericsError
from accelsim.quantization.layer_problem import LayerProblem, Rows, channel_limits

#: Told how many iterations of how many are done; one call at a time, from any thread.
Told = Callable[[int, int], None]

Result = TypeVar("Result")

# Fastest of 2^15 to 2^20 by measurement: smaller parts read the rows more often, larger ones leave the cache.
_WEIGHTS_OF_A_PART = 1 << 17
# Layers of more weights are cut in two at least, for two processors.
_WEIGHTS_OF_ONE_PART = 1 << 12
# How often progress is told during the optimization of a layer.
_TELLINGS = 100


@dataclass(frozen=True, eq=False)
class ChannelPart:
    """The rows, targets and limits of some output channels.

    Parameters
    ----------
    groups, channels : slices of G and of the N channels of each group.
    inputs : rows (g, M, K) with all layers before quantized.
    target : outputs (g, M, n) of the float network, behind the activation.
    bias : (g, 1, n).
    low, high : limits of the activation that broadcast against outputs; None without activation.
    """

    groups: slice
    channels: slice
    inputs: Rows
    target: Rows
    bias: Rows
    low: Rows | None
    high: Rows | None

    def sums(self, weights: Rows, bias: Rows, rows: slice) -> Rows:
        """``z = W^ x^ + b`` of some rows, before the activation: (g, rows, n)."""
        sums: Rows = np.matmul(self.inputs[:, rows], weights.swapaxes(1, 2))
        sums += bias
        return sums

    def residual_of(self, sums: Rows, rows: slice = slice(None)) -> tuple[Rows, NDArray[np.bool_] | None]:
        """Half the derivative of each squared error by its sum, ``(f(z) - y) f'(z)``, in place of the sums; and f' itself.

        Where the clip holds z at a limit f' is 0. None stands for 1 everywhere, without activation.
        """
        if self.low is None or self.high is None:
            sums -= self.target[:, rows]
            return sums, None
        passes = (sums > self.low) & (sums < self.high)
        np.clip(sums, self.low, self.high, out=sums)
        sums -= self.target[:, rows]
        sums *= passes
        return sums, passes


def parts_of(problem: LayerProblem, *, order: NDArray[np.intp], is_whole: bool = False) -> list[ChannelPart]:
    """The layer's channels in parts of about as many weights each.

    Parameters
    ----------
    order : a permutation of the M rows; a part's rows lie in it.
    is_whole : one part, for what channels share.
    """
    groups, channels = problem.weights.shape[:2]
    size = problem.weights.size
    count = 1 if is_whole or size <= _WEIGHTS_OF_ONE_PART else 2 * -(-size // (2 * _WEIGHTS_OF_A_PART))
    by_group = -(-groups // count)
    by_channel = -(-channels // -(-count // groups))
    inputs, target = np.take(problem.quantized_inputs, order, axis=1), np.take(problem.target, order, axis=1)
    bias = problem.bias.astype(np.float32).reshape(groups, 1, channels)
    low, high = channel_limits(problem.clip, groups)

    def cut(values: Rows, g: slice, n: slice) -> Rows | None:
        if problem.clip.is_identity:
            return None
        return values[g, :, n] if values.ndim else values

    parts = []
    for first in range(0, groups, by_group):
        for start in range(0, channels, by_channel):
            g, n = slice(first, first + by_group), slice(start, start + by_channel)
            parts.append(ChannelPart(g, n, inputs[g], target[g, :, n], bias[g, :, n], cut(low, g, n), cut(high, g, n)))
    return parts


def row_blocks(rows: int, size: int, iterations: int, generator: np.random.Generator) -> list[slice]:
    """The rows of each iteration: consecutive ones, all in turn in a random order before any comes again.

    Examples
    --------
    >>> blocks = row_blocks(10, 5, 4, np.random.default_rng(0))
    >>> sorted((block.start, block.stop) for block in blocks[:2])
    [(0, 5), (5, 10)]
    """
    size = min(size, rows)
    starts: list[int] = []
    while len(starts) < iterations:
        # What the size leaves over is left out at another end every time.
        offset = int(generator.integers(rows % size + 1))
        starts += (offset + size * generator.permutation(rows // size)).tolist()
    return [slice(start, start + size) for start in starts[:iterations]]


def optimized(
    parts: Sequence[ChannelPart], optimize: Callable[[ChannelPart, Callable[[], None]], Result], *, iterations: int,
    threads: int | None, told: Told | None
) -> list[Result]:
    """`optimize` of every part, on threads; it calls its second argument after every iteration.

    A failure or an interrupt of one stops the others at their next iteration.
    """
    total, done, lock, is_over = iterations * len(parts), 0, Lock(), Event()
    interval = max(1, total // _TELLINGS)

    def count() -> None:
        nonlocal done
        if is_over.is_set():
            raise _StoppedError
        with lock:
            done += 1
            if told is not None and (done % interval == 0 or done == total):
                told(done * iterations // total, iterations)

    # Threads of the matrix library would wait for one another at every product; parts wait for nobody.
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads or _processors()) as pool:
        running = [pool.submit(optimize, part, count) for part in parts]
        try:
            return [future.result() for future in running]
        except BaseException:
            is_over.set()
            for future in running:
                future.cancel()
            raise


def check_counts(**counts: int | None) -> None:
    """Refuse numbers of iterations, rows or threads below 1; None is left alone."""
    for field, count in counts.items():
        if count is not None and count < 1:
            raise NumericsError(f"expected at least 1, got {count}", field=field)


class _StoppedError(Exception):
    """Another part has failed."""


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
