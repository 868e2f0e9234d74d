"""The requantization rule that a unit executes, with the options that some rules have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from accelsim.errors import NumericsError
from accelsim.numerics.effective_scale import Arithmetic, effective_scale
from accelsim.numerics.qtype import QType
from accelsim.numerics.requantization import Requantization
from accelsim.numerics.rounding import Rounding
from accelsim.numerics.scheme import Operator, SchemeName, scheme_named

#: How a unit without a matrix product (add, concat, softmax, ...) computes under a rule: `fixed_point` as TFLite's integer
#: kernels, `float32` as onnxruntime's, `shift` with the rule's own multiply and shift.
Family = Literal["fixed_point", "float32", "shift"]

_FAMILIES: dict[str, Family] = {"float32_nearest_even": "float32", "shift_floor": "shift", "dyadic": "shift",
                                "power_of_two": "shift"}


@dataclass(frozen=True, slots=True)
class Rule:
    """A requantization scheme and its options, before any scale is known.

    Parameters
    ----------
    scheme : a `SchemeName`.
    rounding : of power_of_two; None is its default, half_up.
    multiplier_bits : of shift_floor, 1 to 31; None is its default, 8.
    table_bits : size of the table that functions of one element are read from (`TableKernel`); None where the scheme's own
        software has none of its own.

    Raises
    ------
    NumericsError : an unknown scheme, an option that the scheme lacks.

    Examples
    --------
    >>> unit = Rule("tflite_double").requantization(0.5, zero_point=10, qtype=QType(8, True))
    >>> unit.requantize([-3, 3]).tolist()
    [9, 12]
    >>> Rule("dyadic").family, Rule("nvdla").family
    ('shift', 'fixed_point')
    """

    scheme: SchemeName
    rounding: Rounding | None = None
    multiplier_bits: int | None = None
    table_bits: int | None = None

    def __post_init__(self) -> None:
        scheme_named(self.scheme)
        if self.rounding is not None and self.scheme != "power_of_two":
            raise NumericsError(f"expected none with {self.scheme}, got {self.rounding}", field="rounding")
        if self.multiplier_bits is not None and self.scheme != "shift_floor":
            raise NumericsError(f"expected none with {self.scheme}, got {self.multiplier_bits}", field="multiplier_bits")

    @property
    def family(self) -> Family:
        """How units beside the grid compute under this rule."""
        return _FAMILIES.get(self.scheme, "fixed_point")

    def requantization(self, real_scale: ArrayLike, *, zero_point: int, qtype: QType, operator: Operator = "conv",
                       clamp_min: int | None = None, clamp_max: int | None = None) -> Requantization:
        """The rule with its multipliers; parameters and errors are those of `Requantization.of`."""
        return Requantization.of(
            self.scheme, real_scale, zero_point=zero_point, qtype=qtype, operator=operator, rounding=self.rounding,
            multiplier_bits=self.multiplier_bits, clamp_min=clamp_min, clamp_max=clamp_max)

    def product_requantization(self, *, input_scale: ArrayLike, weight_scale: ArrayLike, output_scale: ArrayLike,
                               zero_point: int, qtype: QType, operator: Operator, arithmetic: Arithmetic | None = None,
                               clamp_min: int | None = None, clamp_max: int | None = None) -> Requantization:
        """The rule for accumulators of a matrix product, ``s = s_in * s_w / s_out`` in the scheme's own arithmetic.

        Parameters
        ----------
        arithmetic : what the model's own runtime computes s in, where the scheme computes in float64 (TFLite's uint8
            models take the float32 product); ignored by schemes of another arithmetic.
        """
        own = scheme_named(self.scheme, operator).arithmetic
        if self.scheme == "power_of_two":
            scale = effective_scale(input_scale=input_scale, weight_scale=weight_scale, output_scale=output_scale)
        else:
            scale = effective_scale(input_scale=input_scale, weight_scale=weight_scale, output_scale=output_scale,
                                    arithmetic=arithmetic if arithmetic is not None and own == "float64" else own)
        return self.requantization(scale, zero_point=zero_point, qtype=qtype, operator=operator, clamp_min=clamp_min,
                                   clamp_max=clamp_max)
