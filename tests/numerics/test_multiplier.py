"""Scales as integers: within half a unit, renormalized, cut and refused at the edges; names shared with the YAML."""

from fractions import Fraction
from typing import get_args

import numpy as np
import pytest

from accelsim.hardware.requantizer import Requantizer
from accelsim.numerics import multiplier
from accelsim.numerics.effective_scale import effective_scale
from accelsim.numerics.scheme import SchemeName, scheme_named


def value_of(encoded):
    return Fraction(int(encoded.mantissa)) / Fraction(2) ** int(encoded.shift)


def test_the_yaml_and_the_numerics_know_the_same_rules():
    for name in get_args(SchemeName):
        assert Requantizer(lanes=1, scheme=name).rule.scheme == name
        assert scheme_named(name).encode(0.5).mantissa.shape == ()


@pytest.mark.parametrize(("encode", "bits"), [
    (multiplier.q31, 31), (multiplier.q31_single, 31), (multiplier.q31_tosa, 31), (multiplier.dyadic, 31),
    (multiplier.float32, 24), (lambda scale: multiplier.narrow(scale, 8), 8),
    (lambda scale: multiplier.narrow(scale, 15), 15)])
def test_a_mantissa_of_b_bits_is_within_half_a_unit_of_the_scale(encode, bits):
    for scale in np.random.default_rng(6).uniform(-20, 6, 300):
        real = Fraction(2.0**scale)
        assert abs(value_of(encode(2.0**scale)) / real - 1) <= Fraction(1, 2**bits)


@pytest.mark.parametrize(("scale", "mantissa", "shift"), [
    (1 - 2.0**-53, 2**30, 30),      # rounds up to 2^31: halved, e = 1
    (2.0**-32, 2**30, 62),          # e = -31, the last that is kept
    (2.0**-32 * (1 - 2.0**-30), 0, 31),   # e = -32: lost
    (2.0**-32 * (1 - 2.0**-40), 2**30, 62),  # e = -32, but the mantissa rounds up into e = -31
    (1 - 2.0**-32, 2**30, 30),      # a tie of the mantissa: away from zero
    ((2**30 + 0.5) / 2**31, 2**30 + 1, 31),  # another, which half even would take down
    (2.0**29, 2**30, 1)])           # e = 30, the last that is allowed
def test_quantize_multiplier_at_its_edges(scale, mantissa, shift):
    encoded = multiplier.q31(scale)
    assert (int(encoded.mantissa), int(encoded.shift)) == (mantissa, shift)


@pytest.mark.parametrize(("encode", "scale", "mantissa", "shift"), [
    (multiplier.q31_single, 2.0**30, 2**31 - 1, 1),
    (multiplier.q31_tosa, 2.0**-33, 2**29, 62), (multiplier.q31_tosa, 2.0**-90, 0, 62),
    (multiplier.q15_reduced, (2**31 - 1) / 2**31, 0x7FFF, 15), (multiplier.q15_reduced, 2.0**-40, 0, 15),
    (multiplier.dyadic, 1 - 2.0**-53, 2**31, 31), (multiplier.power_of_two, 8.0, 1, -3),
    (multiplier.float32, 2.0**-149, 2**23, 172), (multiplier.float32, 0.1, 13421773, 27)])
def test_the_other_encoders_at_their_edges(encode, scale, mantissa, shift):
    encoded = encode(scale)
    assert (int(encoded.mantissa), int(encoded.shift)) == (mantissa, shift)


def test_effective_scales_round_where_their_runtime_does():
    def single(value):
        return Fraction(float(np.float32(float(value))))  # exact operands below keep float(value) free of double rounding

    rng = np.random.default_rng(8)
    for s_in, s_w, s_out in rng.uniform(0.001, 0.2, (200, 3)).astype(np.float32).astype(float):
        product = Fraction(s_in) * Fraction(s_w)  # 48 bits: exact in float64
        given = {"input_scale": s_in, "weight_scale": s_w, "output_scale": s_out}
        assert effective_scale(**given) == float(product) / s_out
        assert effective_scale(**given, arithmetic="float32_product") == float(single(product)) / s_out
        assert effective_scale(**given, arithmetic="float32") == np.float32(float(single(product))) / np.float32(s_out)
