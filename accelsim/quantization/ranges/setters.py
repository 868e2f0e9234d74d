"""The range setters by name, as policies and command lines write them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from accelsim.errors import NumericsError
from accelsim.problem import quoted, unknown_key, wrong_choice
from accelsim.quantization.ranges.aciq import Aciq
from accelsim.quantization.ranges.batch_norm_statistics import BatchNormStatistics
from accelsim.quantization.ranges.cross_entropy import CrossEntropy
from accelsim.quantization.ranges.kl_divergence import KlDivergence
from accelsim.quantization.ranges.min_max import MinMax
from accelsim.quantization.ranges.moving_average import MovingAverage
from accelsim.quantization.ranges.mse import Mse
from accelsim.quantization.ranges.omse import Omse
from accelsim.quantization.ranges.percentile import Percentile
from accelsim.quantization.ranges.range_setter import RangeSetter

RANGE_SETTERS: Mapping[str, type[RangeSetter]] = MappingProxyType({setter.name: setter for setter in (
    MinMax, MovingAverage, Percentile, Mse, Omse, KlDivergence, CrossEntropy, Aciq, BatchNormStatistics)})


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
    if name not in RANGE_SETTERS:
        raise NumericsError(wrong_choice(name, RANGE_SETTERS), field="range")
    kind = RANGE_SETTERS[name]
    known = {field.name: type(field.default) for field in dataclasses.fields(kind)}
    for option, value in options.items():
        if option not in known:
            problem = unknown_key(option, known) if known else f"expected no options, got {quoted(option)}"
            raise NumericsError(problem, field=name)
        _require_type(known[option], option, value)
    return kind(**options)


def _require_type(expected: type, option: str, value: object) -> None:
    """Refuse a value of another type than the option's default; a whole number will do for a real one."""
    accepted: dict[type, tuple[str, tuple[type, ...]]] = {
        int: ("a whole number", (int,)), float: ("a number", (int, float)), str: ("a name", (str,)),
        type(None): ("a whole number", (int, type(None)))}
    words, types = accepted[expected]
    if isinstance(value, bool) or not isinstance(value, types):
        raise NumericsError(f"expected {words}, got {quoted(value)}", field=option)
