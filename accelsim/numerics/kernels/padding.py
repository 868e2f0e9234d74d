"""A border around a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.operands import only, require_rank
from accelsim.numerics.rule import Rule

#: What a border is made of: a constant; the edge value; x mirrored without or with its edge; x repeated.
PadMode = Literal["constant", "edge", "reflect", "symmetric", "wrap"]


@dataclass(frozen=True, eq=False)
class PadKernel:
    """A border around x. Zero padding of a quantized tensor is a border of its zero point.

    Parameters
    ----------
    pads : (before, after) for each dimension; negative numbers cut off that many instead (before the border is added).
    value : the constant, an integer of the input's type; only for mode "constant".
    mode : "constant"; "edge"; "reflect" and "symmetric" mirror x, at most size - 1 and size elements on a side; "wrap".

    Raises
    ------
    NumericsError : another number of dimensions; a value outside the input's type; a mirror that x is too small for; a cut
        that leaves less than nothing.

    Examples
    --------
    >>> x = np.array([1, 2, 3], np.int8)
    >>> for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
    ...     PadKernel(((2, 1),), value=-7 if mode == "constant" else 0, mode=mode).run([x], Rule("dyadic")).tolist()
    [-7, -7, 1, 2, 3, -7]
    [1, 1, 1, 2, 3, 3]
    [3, 2, 1, 2, 3, 2]
    [2, 1, 1, 2, 3, 3]
    [2, 3, 1, 2, 3, 1]
    >>> PadKernel(((-1, 0),)).run([x], Rule("dyadic")).tolist()
    [2, 3]
    """

    pads: tuple[tuple[int, int], ...]
    value: int = 0
    mode: PadMode = "constant"

    def __post_init__(self) -> None:
        if self.mode not in get_args(PadMode):
            raise NumericsError(f'expected one of {", ".join(get_args(PadMode))}, got "{self.mode}"', field="mode")

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        x = only(inputs)
        require_rank(x, len(self.pads), "pads")
        for size, (before, after) in zip(x.shape, self.pads, strict=True):
            if size + min(before, 0) + min(after, 0) < 0:
                raise NumericsError(f"expected at most {size} elements cut off, got {(before, after)}", field="pads")
        cut = x[tuple(slice(max(-before, 0), size - max(-after, 0))
                      for size, (before, after) in zip(x.shape, self.pads, strict=True))]
        borders = [(max(before, 0), max(after, 0)) for before, after in self.pads]
        if self.mode == "constant":
            info = np.iinfo(x.dtype)
            if not info.min <= self.value <= info.max:
                raise NumericsError(f"expected {info.min}..{info.max} ({x.dtype.name}), got {self.value}", field="value")
            return np.pad(cut, borders, constant_values=self.value)
        self._require_source(cut.shape, borders)
        return np.pad(cut, borders, mode=self.mode)

    def _require_source(self, shape: tuple[int, ...], borders: list[tuple[int, int]]) -> None:
        """Refuses borders that need more elements than x has: numpy would repeat the mirror."""
        for size, border in zip(shape, borders, strict=True):
            most = size - 1 if self.mode == "reflect" else size
            if max(border) > most and (self.mode in ("reflect", "symmetric") or size == 0):
                raise NumericsError(f"expected at most {most} for {self.mode} of {size} elements, got {border}",
                                    field="pads")
