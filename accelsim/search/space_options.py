"""What a search may choose, and what stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from accelsim.errors import SearchError

#: What is fixed unless one says otherwise: HAWQ-V3 (arXiv 2011.10680, section 4) and HAQ keep the first and last layer wide.
FIXED_AT_ENDS: Mapping[str, int] = {"first": 8, "last": 8, "inputs": 8, "outputs": 8}

# Widths that a policy can have.
_LEAST, _MOST = 1, 16


@dataclass(frozen=True)
class SpaceOptions:
    """Choices of widths.

    Parameters
    ----------
    weight_bits, activation_bits : that are open, of every layer and tensor.
    accumulator_bits : the same of each layer's accumulators; none: they are as wide as the accelerator's.
    fixed : widths by name: of a layer (its weights), of a tensor, or of `first` and `last` (weights of these layers),
        `inputs` and `outputs` (of the network).
    ties : names of layers or tensors that get one width.
    is_joined : whether a layer's weights are as wide as what it reads.

    Raises
    ------
    SearchError : no width, or an impossible one.
    """

    weight_bits: tuple[int, ...] = (2, 4, 8)
    activation_bits: tuple[int, ...] = (2, 4, 8)
    accumulator_bits: tuple[int, ...] = ()
    fixed: Mapping[str, int] = field(default_factory=lambda: dict(FIXED_AT_ENDS))
    ties: tuple[tuple[str, ...], ...] = ()
    is_joined: bool = False

    def __post_init__(self) -> None:
        for name, widths in (("weight_bits", self.weight_bits), ("activation_bits", self.activation_bits)):
            if not widths:
                raise SearchError("expected at least one width, got none", field=name)
            for bits in widths:
                _check(bits, name)
        for name, bits in self.fixed.items():
            _check(bits, name)


def _check(bits: int, name: str) -> None:
    if not _LEAST <= bits <= _MOST:
        raise SearchError(f"expected {_LEAST} to {_MOST} bits, got {bits}", field=name)
