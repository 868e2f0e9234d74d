"""How far a layer's integers are from those of another runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Difference:
    """Outputs of one layer against another runtime's, over all samples.

    Parameters
    ----------
    layer : its name. outputs : how many were compared.
    differing : how many differ. largest : by how much at most, in units of the last place (LSB).
    """

    layer: str
    outputs: int = 0
    differing: int = 0
    largest: int = 0

    def joined(self, found: NDArray[Any], expected: NDArray[Any]) -> Difference:
        """With the outputs of a further sample.

        >>> Difference("conv").joined(np.array([1, 2], np.int8), np.array([1, -2], np.int8))
        Difference(layer='conv', outputs=2, differing=1, largest=4)
        """
        distance = np.abs(found.astype(np.int64) - expected.astype(np.int64))
        return Difference(self.layer, self.outputs + distance.size, self.differing + int(np.count_nonzero(distance)),
                          max(self.largest, int(distance.max(initial=0))))
