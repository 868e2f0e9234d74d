"""A layer of the vector unit: its kernel is run once, and each step puts out its range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.machine.values.carrier import Carrier
from accelsim.mapping.program import VectorCompute
from accelsim.numerics.kernel import Kernel
from accelsim.numerics.rule import Rule
from accelsim.results.layer_values import LayerValues
from accelsim.workload.tensor import Shape


class VectorLayer(Carrier):
    """An element that no step puts out, or that two do, is a mistake of the program."""

    def __init__(self, name: str, kernel: Kernel, rule: Rule, shape: Shape) -> None:
        self._name, self._kernel, self._rule, self._shape = name, kernel, rule, shape
        self._inputs: Sequence[NDArray[Any]] = ()
        self._made: NDArray[Any] | None = None
        self._output: NDArray[Any] | None = None
        self._done = 0

    def begin(self, inputs: Sequence[NDArray[Any]]) -> None:
        self._inputs = inputs

    def compute(self, step: VectorCompute) -> None:
        if self._made is None:
            self._made = self._run().ravel()
            self._output = np.empty_like(self._made)
        assert self._output is not None
        first, last = step.elements
        assert first == self._done, f"{self._name}: elements [{first}:{last}] follow element {self._done}"
        self._output[first:last] = self._made[first:last]
        self._done = last

    def _run(self) -> NDArray[Any]:
        try:
            return self._kernel.run(self._inputs, self._rule)
        except NumericsError as error:
            raise NumericsError(error.problem, field=": ".join(filter(None, (self._name, error.field)))) from error

    def finish(self) -> NDArray[Any]:
        assert self._output is not None, f"{self._name}: no step ran"
        assert self._done == self._output.size, f"{self._name}: {self._done} elements of {self._output.size} were put out"
        return self._output.reshape(self._shape)

    def observed(self) -> LayerValues:
        return LayerValues()
