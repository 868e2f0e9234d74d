"""The unit for everything that is not a matrix product."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from accelsim.hardware.quantity import Count, Spec


class VectorUnit(Spec):
    """Pooling, element-wise, activation, softmax, normalization, resizing and data movement, `lanes` operations a cycle."""

    lanes: Count
    """Lane operations a cycle (at least 1)."""
    latency_cycles: Annotated[int, Field(ge=0)] = 0
    """Pipeline depth, paid once per tile (at least 0)."""
    table_bits: Annotated[int | None, Field(ge=1, le=16)] = None
    """Size of the table from which it reads sigmoid, tanh, GELU, ...: 2^table_bits entries (1 to 16), between which it
    interpolates if an input is wider. Left out, the functions are those of the rule's own software. It does not change the
    timing."""
