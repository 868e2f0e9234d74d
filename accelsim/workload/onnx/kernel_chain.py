"""Several kernels that one layer executes, each on what the layer reads or on what kernels before it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from accelsim.numerics.kernel import Kernel
from accelsim.numerics.rule import Rule


class Step(NamedTuple):
    """A kernel and where its operands are: the layer's inputs count from 0, the results of the steps follow them."""

    kernel: Kernel
    operands: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class KernelChain:
    """Kernels one after the other; the last one's result is the layer's.

    Each step rounds to integers of its own, as the model does: x * sigmoid(x) of two quantized operators, say, which the
    network executes as one layer.

    Parameters
    ----------
    steps : at least one.

    Examples
    --------
    >>> import numpy as np
    >>> from accelsim.numerics.kernels.movement import ReshapeKernel, TransposeKernel
    >>> chain = KernelChain((Step(TransposeKernel((1, 0)), (0,)), Step(ReshapeKernel((4,)), (1,))))
    >>> chain.run([np.array([[1, 2], [3, 4]], np.int8)], Rule("float32_nearest_even")).tolist()
    [1, 3, 2, 4]
    """

    steps: tuple[Step, ...]

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        values = list(inputs)
        for kernel, operands in self.steps:
            values.append(kernel.run([values[place] for place in operands], rule))
        return values[-1]


def chained(kernels: Sequence[Kernel], inputs: int = 1) -> Kernel:
    """Kernels each on the result of the one before, the first on the layer's inputs; a single kernel stays itself."""
    first, *others = kernels
    if not others:
        return first
    steps = [Step(kernel, (inputs + place,)) for place, kernel in enumerate(others)]
    return KernelChain((Step(first, tuple(range(inputs))), *steps))
