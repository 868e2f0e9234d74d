"""One tensor: a name, a shape and a width; never data."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from accelsim.errors import WorkloadError

#: Shapes are NCHW for images, (N, C) or (..., M, K) for matrices.
Shape = tuple[int, ...]

# A tensor larger than this overflows the 64-bit byte counts that memories and file formats use.
LARGEST_ELEMENT_COUNT = 2**62


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named array of integers of one width.

    Parameters
    ----------
    name : unique within its network.
    shape : every dimension at least 1; ``()`` is a scalar.
    bits : width of one element, 1 to 64. Elements are packed without gaps, so 4-bit elements take half
        the bytes of 8-bit ones.
    is_constant : a parameter of the model (weights, bias, tables), known before the run.

    Raises
    ------
    WorkloadError : a zero, negative or overflowing dimension; a width outside 1..64.

    Examples
    --------
    >>> Tensor("x", (1, 3, 224, 224), 8).bytes
    150528
    >>> Tensor("w", (5,), 4).bytes
    3
    """

    name: str
    shape: Shape
    bits: int
    is_constant: bool = False

    def __post_init__(self) -> None:
        for size in self.shape:
            if size < 1:
                raise WorkloadError(
                    f"expected dimensions of at least 1, got {list(self.shape)}", field=self.name
                )
        if self.elements > LARGEST_ELEMENT_COUNT:
            raise WorkloadError(
                f"expected at most 2^62 elements, got the shape {list(self.shape)}", field=self.name
            )
        if not 1 <= self.bits <= 64:
            raise WorkloadError(f"expected 1 to 64 bits, got {self.bits}", field=self.name)

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Packed size, rounded up to a whole byte once for the whole tensor."""
        return -(-self.elements * self.bits // 8)
