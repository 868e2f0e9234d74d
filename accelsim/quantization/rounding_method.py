"""How weights on their grid become integers, as a policy says it: a name, and options.

::

    weights: {bits: 4, rounding: {name: adaround, iterations: 1000}}

What each of them does stands in `weight_rounding`. Those that look at data take a bounded, seeded sample of the calibration
set: `samples` of it run through the network, and of what a layer reads there `rows` are kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import ClassVar

from accelsim.errors import NumericsError
from accelsim.problem import wrong_choice
from accelsim.quantization.named_options import named

#: Options that count something.
_COUNTS = ("iterations", "rows", "rows_per_iteration", "samples")


@dataclass(frozen=True)
class RoundingMethod:
    """One of them; every method is a frozen subclass."""

    #: What a policy calls it.
    name: ClassVar[str]
    #: Whether it needs a calibration set.
    needs_data: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name in _COUNTS and value < 1:
                raise NumericsError(f"expected at least 1, got {value}", field=option.name)
            if option.name == "seed" and value < 0:
                raise NumericsError(f"expected at least 0, got {value}", field=option.name)


@dataclass(frozen=True)
class Nearest(RoundingMethod):
    """Each weight to its nearest integer, ties to even."""

    name = "nearest"


@dataclass(frozen=True)
class Stochastic(RoundingMethod):
    """Each weight up or down by chance, right on average.

    Parameters
    ----------
    seed : of the chance; each layer has its own stream.
    """

    name = "stochastic"
    seed: int = 0


@dataclass(frozen=True)
class DataRounding(RoundingMethod):
    """A method that looks at what a layer reads.

    Parameters
    ----------
    samples : of the calibration set; fewer where they would need more than `lockstep.LARGEST_SAMPLE_BYTES`.
    rows : of each layer's inputs (windows of a convolution).
    seed : of both choices and of the method itself.
    """

    needs_data = True
    samples: int = 256
    rows: int = 4096
    seed: int = 0


@dataclass(frozen=True)
class AdaRound(DataRounding):
    """Up or down, learned.

    Parameters
    ----------
    iterations, rows_per_iteration, rate : as in `rounding.adaround`.
    regularization : weight of the regularizer.
    settles : whether single flips end it.
    """

    name = "adaround"
    iterations: int = 2000
    rows_per_iteration: int = 512
    rate: float = 0.1
    regularization: float = 10.0
    settles: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("rate", "regularization"):
            value = getattr(self, option)
            if not (math.isfinite(value) and value > 0):
                raise NumericsError(f"expected above 0, got {value}", field=option)


@dataclass(frozen=True)
class AdaQuant(DataRounding):
    """Integers, scales and bias learned together.

    Parameters
    ----------
    iterations, rows_per_iteration : as in `rounding.adaquant`.
    weight_rate, scale_rate, bias_rate : learning rates; a rate of 0 keeps what is given.
    """

    name = "adaquant"
    iterations: int = 2000
    rows_per_iteration: int = 512
    weight_rate: float = 1e-3
    scale_rate: float = 1e-3
    bias_rate: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("weight_rate", "scale_rate", "bias_rate"):
            value = getattr(self, option)
            if not (math.isfinite(value) and value >= 0):
                raise NumericsError(f"expected at least 0, got {value}", field=option)


@dataclass(frozen=True)
class SecondOrder(DataRounding):
    """Column by column, the others making up for each error (GPTQ).

    Parameters
    ----------
    damping : as in `rounding.second_order`.
    order : of the columns, descending or natural.
    """

    name = "second_order"
    damping: float = 0.01
    order: str = "descending"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.damping) and self.damping > 0):
            raise NumericsError(f"expected above 0, got {self.damping}", field="damping")
        if self.order not in ("descending", "natural"):
            raise NumericsError(wrong_choice(self.order, ("descending", "natural")), field="order")


ROUNDING_METHODS: Mapping[str, type[RoundingMethod]] = MappingProxyType({method.name: method for method in (
    Nearest, Stochastic, AdaRound, AdaQuant, SecondOrder)})

#: What holds where nothing is said.
NEAREST = Nearest()


def rounding_method(name: str, options: Mapping[str, object] = MappingProxyType({})) -> RoundingMethod:
    """The method of that name.

    Raises
    ------
    NumericsError : another name; an option that it does not have, or a value that the option cannot have.

    Examples
    --------
    >>> rounding_method("second_order", {"damping": 0.1}).damping
    0.1
    >>> rounding_method("adaround", {"iterations": 0})
    Traceback (most recent call last):
    accelsim.errors.NumericsError: iterations: expected at least 1, got 0
    """
    return named(ROUNDING_METHODS, name, options, what="rounding")
