"""Accumulators to output integers under a named rule: ``q = clamp(rescale(a) + zero_point)``.

The multipliers are computed once, on construction; `Requantization.requantize` is then a few numpy operations on whole
arrays, exact, with channels last. Fused activations are the clamp: ReLU is ``clamp_min = zero_point``, ReLU6 adds
``clamp_max = zero_point + round(6 / scale)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.integer_array import as_integers, require_range
from accelsim.numerics.multiplier import Multiplier, narrow
from accelsim.numerics.qparams import as_scales
from accelsim.numerics.qtype import QType
from accelsim.numerics.rescale import power_of_two
from accelsim.numerics.rounding import Rounding
from accelsim.numerics.scheme import Operator, Scheme, scheme_named


@dataclass(frozen=True, eq=False)
class Requantization:
    """A rule with its multipliers, zero point and output range; build it with `of` or `of_integers`.

    Parameters
    ----------
    scheme : the rule, after operator and aliases.
    multiplier : mantissa, shift, addend; shape () or (C,).
    zero_point : of the output, within `qtype`.
    qtype : of the output.
    clamp_min, clamp_max : the output's range, within `qtype`; narrower under a fused activation.
    rounding : of power_of_two, else None.

    Examples
    --------
    >>> int8 = QType(8, True)
    >>> accumulators = [[-3, -1], [1, 3]]  # halves: every output is a tie
    >>> for name in ("tflite_double", "tflite_single", "float32_nearest_even", "shift_floor"):
    ...     Requantization.of(name, 0.5, zero_point=10, qtype=int8).requantize(accumulators).tolist()
    [[9, 10], [11, 12]]
    [[9, 10], [11, 12]]
    [[8, 10], [10, 12]]
    [[8, 9], [10, 11]]
    >>> for name in ("tflite_double", "tflite_single"):  # quarters: two roundings against one
    ...     Requantization.of(name, 0.125, zero_point=0, qtype=int8).requantize([-12, -4, 4, 12]).tolist()
    [-2, -1, 1, 2]
    [-1, 0, 1, 2]
    """

    scheme: Scheme
    multiplier: Multiplier
    zero_point: int
    qtype: QType
    clamp_min: int
    clamp_max: int
    rounding: Rounding | None

    @classmethod
    def of(cls, scheme: str, real_scale: ArrayLike, *, zero_point: int, qtype: QType, operator: Operator = "conv",
           rounding: Rounding | None = None, multiplier_bits: int | None = None, clamp_min: int | None = None,
           clamp_max: int | None = None) -> Requantization:
        """From a real scale, encoded as the rule's source encodes it.

        Parameters
        ----------
        scheme : a `SchemeName`.
        real_scale : ``s_in * s_w / s_out``, float64, shape () or (C,); see `effective_scale` for its last bits.
        operator : what made the accumulators; litert_reference rounds fully connected layers otherwise.
        rounding : for power_of_two only, default half_up.
        multiplier_bits : for shift_floor only, 1 to 31, default 8 (NE16's multiplier).

        Raises
        ------
        NumericsError : a scale that is NaN, infinite, zero, negative or beyond the rule; an option that the rule lacks; a
            zero point or clamp outside the type.
        """
        rule = scheme_named(scheme, operator)
        scales = as_scales(real_scale)
        if scales.ndim > 1:
            raise NumericsError(f"expected one scale or a list, one a channel, got shape {scales.shape}", field="scale")
        if multiplier_bits is not None and rule.name != "shift_floor":
            raise NumericsError(f"expected none with {rule.name}, got {multiplier_bits}", field="multiplier_bits")
        encoded = rule.encode(scales) if multiplier_bits is None else narrow(scales, multiplier_bits)
        return cls._checked(rule, encoded, zero_point, qtype, rounding, clamp_min, clamp_max)

    @classmethod
    def of_integers(cls, scheme: str, *, multiplier: ArrayLike, shift: ArrayLike, addend: ArrayLike = 0, zero_point: int,
                    qtype: QType, operator: Operator = "conv", rounding: Rounding | None = None,
                    clamp_min: int | None = None, clamp_max: int | None = None) -> Requantization:
        """From the integers that a model or register file already holds: ``scale = multiplier * 2^-shift``.

        Parameters
        ----------
        multiplier, shift, addend : integers, () or (C,), within the rule's registers. The addend (lambda, in units of the
            product) exists for shift_floor only. TFLite's exponent e is ``31 - shift`` (``15 - shift`` for tflite_int16x8).

        Raises
        ------
        NumericsError : as `of`; an integer outside the rule's registers.

        Examples
        --------
        >>> unit = Requantization.of_integers("shift_floor", multiplier=3, shift=2, addend=1, zero_point=0,
        ...                                   qtype=QType(8, False))
        >>> unit.requantize([5, 6, -1]).tolist()  # (3 a + 1) >> 2
        [4, 4, 0]
        """
        rule = scheme_named(scheme, operator)
        given = Multiplier.of(multiplier, shift, addend)
        if np.any(given.addend != 0) and rule.name != "shift_floor":
            raise NumericsError(f"expected none with {rule.name}, got {given.addend.flat[0]}", field="addend")
        return cls._checked(rule, given, zero_point, qtype, rounding, clamp_min, clamp_max)

    @classmethod
    def _checked(cls, rule: Scheme, multiplier: Multiplier, zero_point: int, qtype: QType, rounding: Rounding | None,
                 clamp_min: int | None, clamp_max: int | None) -> Requantization:
        require_range(multiplier.mantissa, *rule.mantissa_range, f"{rule.name} multiplier")
        require_range(multiplier.shift, *rule.shift_range, f"{rule.name} shift")
        if rounding is not None and rule.name != "power_of_two":
            raise NumericsError(f"expected none with {rule.name}, got {rounding}", field="rounding")
        low = qtype.min if clamp_min is None else clamp_min
        high = qtype.max if clamp_max is None else clamp_max
        for value, what in ((zero_point, "zero_point"), (low, "clamp_min"), (high, "clamp_max")):
            require_range(as_integers(value, what), qtype.min, qtype.max, what)
        if low > high:
            raise NumericsError(f"expected clamp_min <= clamp_max, got {low} > {high}", field="clamp_min")
        mode = rounding or "half_up" if rule.name == "power_of_two" else None
        return cls(rule, multiplier, int(zero_point), qtype, int(low), int(high), mode)

    def channels(self, part: slice) -> Requantization:
        """The same for some of the channels; itself with one multiplier for all.

        >>> unit = Requantization.of("tflite_double", [0.5, 0.25], zero_point=0, qtype=QType(8, True))
        >>> unit.channels(slice(1, 2)).requantize([[8]]).tolist()
        [[2]]
        """
        if not self.multiplier.mantissa.shape:
            return self
        mantissa, shift, addend = (array[part] for array in (self.multiplier.mantissa, self.multiplier.shift,
                                                             self.multiplier.addend))
        return replace(self, multiplier=Multiplier(mantissa, shift, addend))

    def requantize(self, accumulators: ArrayLike, *, generator: np.random.Generator | None = None) -> NDArray[Any]:
        """``clamp(rescale(a) + zero_point)``, the addition exact, the clamp a saturation.

        Parameters
        ----------
        accumulators : exact integers, (..., C) with per-channel multipliers, any shape with one multiplier.
        generator : for power_of_two with stochastic rounding.

        Returns
        -------
        Array of the same shape, dtype `qtype.dtype`.

        Raises
        ------
        NumericsError : accumulators outside the rule's register, or for which its source is undefined (`rescale`); a last
            dimension that is not C.
        """
        values = as_integers(accumulators, "accumulators")
        channels = self.multiplier.mantissa.shape
        if channels and values.shape[-1:] != channels:
            raise NumericsError(f"expected {channels[0]} channels in the last dimension, got shape {values.shape}",
                                field="accumulators")
        half = 1 << (self.scheme.accumulator_bits - 1)
        require_range(values, -half, half - 1, f"accumulators of {self.scheme.name}")
        if self.rounding is None:
            scaled = self.scheme.rescale(values, self.multiplier)
        else:
            scaled = power_of_two(values, self.multiplier, self.rounding, generator)
        # Clamped first, to bounds without the zero point: the sum of a number near 2^63 and a zero point would not be int64.
        kept = np.clip(scaled, self.clamp_min - self.zero_point, self.clamp_max - self.zero_point)
        return np.asarray(kept + self.zero_point).astype(self.qtype.dtype)
