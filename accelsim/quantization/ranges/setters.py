"""The range setters by name, as policies and command lines write them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from accelsim.quantization.named_options import named
from accelsim.quantization.ranges.aciq import Aciq
from accelsim.quantization.ranges.batch_norm_statistics import BatchNormStatistics
from accelsim.quantization.ranges.cross_entropy import CrossEntropy
from accelsim.quantization.ranges.kl_divergence import KlDivergence
from accelsim.quantization.ranges.known_range import KnownRange
from accelsim.quantization.ranges.min_max import MinMax
from accelsim.quantization.ranges.moving_average import MovingAverage
from accelsim.quantization.ranges.mse import Mse
from accelsim.quantization.ranges.omse import Omse
from accelsim.quantization.ranges.percentile import Percentile
from accelsim.quantization.ranges.range_setter import RangeSetter

RANGE_SETTERS: Mapping[str, type[RangeSetter]] = MappingProxyType({setter.name: setter for setter in (
    MinMax, MovingAverage, Percentile, Mse, Omse, KlDivergence, CrossEntropy, Aciq, BatchNormStatistics,
    KnownRange)})


def range_setter(name: str, options: Mapping[str, object] = MappingProxyType({})) -> RangeSetter:
    """The range setter of that name, with options as its class describes them.

    Raises
    ------
    NumericsError : another name; an option that it does not have, or a value that the option cannot have.

    Examples
    --------
    >>> range_setter("percentile", {"percentile": 99.9})
    Percentile(percentile=99.9, bins=2048)
    >>> range_setter("aciq", {"distribution": "laplas"})
    Traceback (most recent call last):
    accelsim.errors.NumericsError: distribution: expected one of gauss, laplace, got "laplas" (did you mean "laplace"?)
    """
    return named(RANGE_SETTERS, name, options, what="range")
