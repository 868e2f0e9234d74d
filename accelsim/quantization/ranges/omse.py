"""OMSE: the minimum of the squared error over scale and integers together.

``min over s and integers k of ||T - s k||^2`` (Choukroun et al. 2019, "Low-bit Quantization of Neural Networks for Efficient
Inference", arXiv 1902.06822: the linear quantization task as a constrained minimum mean squared error problem, for weights
and activations alike). For a fixed scale the nearest integers are best; for fixed integers, least squares gives the best
scale, ``s = sum x k / sum k^2``. From the best scale of a grid on, the two take turns until neither improves: where `mse`
stops at a step of its grid, this goes to the bottom. It is a local minimum, not proved to be the global one.

Left out: the paper's second tensor for layers that are badly approximated, and its scales trained on a calibration set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.quantization.ranges.grid_error import GridError
from accelsim.quantization.ranges.mse import SquaredErrorSetter
from accelsim.quantization.ranges.observer import Range
from accelsim.quantization.ranges.range_setter import require
from accelsim.quantization.ranges.scale_search import ScaleSearch
from accelsim.quantization.scheme import Scheme


@dataclass(frozen=True)
class Omse(SquaredErrorSetter):
    """The least squared error, at the bottom of its valley.

    Parameters
    ----------
    rounds : turns of least squares at most, at least 1.

    >>> import numpy as np
    >>> low, high = Omse().range_of(np.array([-0.93, 0.31, 0.62, 0.31, 2.1]), Scheme(4, "symmetric", is_restricted=True))
    >>> round(high.item() / 7, 4)  # integers -3, 1, 2, 1, 7: 19.35 / 64
    0.3023
    """

    name: ClassVar[str] = "omse"
    rounds: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.rounds >= 1, "at least 1 round", self.rounds, "rounds")

    def searched(self, values: GridError, scheme: Scheme) -> Range:
        search = ScaleSearch(values, scheme)
        return search.range_of(search.refined(search.by_grid(self.steps), self.rounds))
