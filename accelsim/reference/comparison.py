"""A run's integers against another runtime's, layer by layer: chained from the inputs, or each layer fed that runtime's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from accelsim.reference.runtime import Runtime, Tensors
from accelsim.results.comparison import Difference
from accelsim.workload.input_values import Sample


class Comparison:
    """Compares layers as they are made; give `told` to `simulate`.

    Parameters
    ----------
    runtime : see `reference.runtime.runtime_named`.
    samples : those of the run, in its order.
    """

    def __init__(self, runtime: Runtime, samples: list[Sample]) -> None:
        self._runtime, self._samples = runtime, samples
        self._number, self._expected = -1, dict[str, NDArray[Any]]()
        self._differences: dict[str, Difference] = {}

    def expected(self, number: int) -> Tensors:
        """What the runtime computes for a sample, by layer."""
        if number != self._number:
            self._number, self._expected = number, dict(self._runtime(self._samples[number]))
        return self._expected

    @property
    def told(self) -> Callable[[int, str, NDArray[Any]], None]:
        """What a run tells of a layer's output."""

        def compare(number: int, layer: str, output: NDArray[Any]) -> None:
            expected = self.expected(number).get(layer)
            if expected is not None:
                so_far = self._differences.get(layer, Difference(layer))
                self._differences[layer] = so_far.joined(output, expected)

        return compare

    @property
    def differences(self) -> dict[str, Difference]:
        """By layer, in the order of execution; layers whose output the runtime does not have are missing."""
        return dict(self._differences)
