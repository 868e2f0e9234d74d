"""Choices of placement that the white paper leaves open."""

from __future__ import annotations

from typing import Literal

from accelsim.hardware.quantity import Spec


class PlacementOptions(Spec):
    """What shares a grid beyond what must."""

    concatenation: Literal["shared", "requantized"] = "requantized"
    """Parts of a concatenation: on one grid with the result, or requantized to it."""

    addition: Literal["matched", "requantized"] = "requantized"
    """Operands of an addition or subtraction: on one grid, or each requantized on the way."""

    average_pooling: Literal["shared", "requantized"] = "shared"
    """The result of average pooling or of a mean: on its input's grid, or on one of its own range."""

    layer_normalization: Literal["fixed", "calibrated"] = "fixed"
    """The result of a layer normalization: on a grid that its scale and shift tell, or on one from data."""
