"""Zeros, few weights, tiny weights and mistakes, for every non-uniform quantizer."""

import numpy as np
import pytest

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule
from accelsim.quantization.nonuniform.additive_powers import AdditivePowers
from accelsim.quantization.nonuniform.binary import Binary
from accelsim.quantization.nonuniform.binary_code import BinaryCode
from accelsim.quantization.nonuniform.codebook import Codebook
from accelsim.quantization.nonuniform.power_of_two import PowerOfTwo
from accelsim.quantization.nonuniform.product_quantization import ProductQuantization
from accelsim.quantization.nonuniform.ternary import Ternary


def vectors(weights, **options):
    return ProductQuantization.fit(weights, **{"vector_length": 2, "index_bits": 4, "generator": np.random.default_rng(0)}
                                   | options)


#: name -> fit with a scale a channel where the method has one.
FITS = {
    "power_of_two": lambda weights: PowerOfTwo.fit(weights, per_channel=True),
    "power_of_two_fitted": lambda weights: PowerOfTwo.fit(weights, per_channel=True, scale="fitted", domain="log"),
    "additive_powers": lambda weights: AdditivePowers.fit(weights, per_channel=True),
    "additive_powers_fitted": lambda weights: AdditivePowers.fit(weights, per_channel=True, threshold="fitted"),
    "binary": Binary.fit,
    "ternary": lambda weights: Ternary.fit(weights, per_channel=True),
    "ternary_mean": lambda weights: Ternary.fit(weights, per_channel=True, delta="mean"),
    "binary_code_greedy": lambda weights: BinaryCode.fit(weights, method="greedy"),
    "binary_code_shifted": lambda weights: BinaryCode.fit(weights, method="shifted"),
    "binary_code": BinaryCode.fit,
    "codebook": lambda weights: Codebook.fit(weights, per_channel=True),
    "vectors": lambda weights: vectors(weights, per_channel=True),
    "vectors_in_stages": lambda weights: vectors(weights, stages=2),
}


@pytest.mark.parametrize("name", FITS)
def test_all_zero_weights_stay_zero_and_their_scale_is_a_positive_float32(name):
    coded = FITS[name](np.zeros((1, 3, 8)))
    assert np.all(coded.decode() == 0)
    lowered = coded.lower()
    assert np.all(lowered.qparams.scale.astype(np.float32) > 0)
    if name != "binary":
        assert np.all(lowered.integers == 0)
    assert coded.sqnr_db(np.zeros((1, 3, 8))) == float("inf")


@pytest.mark.parametrize("name", FITS)
def test_a_channel_of_zeros_beside_others_stays_zero_or_nearly(name):
    weights = np.random.default_rng(0).normal(size=(1, 4, 8))
    weights[0, 2] = 0
    lowered = FITS[name](weights).lower()
    found = np.abs(lowered.decode()[0, 2]).max()
    others = np.broadcast_to(lowered.qparams.scale, 4)[[0, 1, 3]]
    if name == "binary":
        assert found == pytest.approx(others.min() / 2**12)
    elif "code" in name or name == "vectors_in_stages":
        # A table that all channels share need not have an entry of 0, and sums of +-a_i lie on both sides of it.
        assert found < 0.7 * np.abs(weights).mean()
    else:
        assert found <= 1e-3


@pytest.mark.parametrize("scheme", ["tflite_double", "litert_reference", "tosa_single", "nvdla", "float32_nearest_even",
                                    "float64_half_away", "dyadic", "shift_floor", "tflite_int16x8"])
def test_every_requantizer_encodes_the_scales_of_zero_channels(scheme):
    weights = np.random.default_rng(0).normal(0, 0.05, size=(1, 4, 8))
    weights[0, 2] = 0
    y = QParams(scale=0.02, zero_point=0, qtype=QType(8, True))
    for name, fit in FITS.items():
        scale = fit(weights).lower().qparams.scale
        unit = Rule(scheme).product_requantization(input_scale=0.01, weight_scale=scale, output_scale=y.scale, zero_point=0,
                                                   qtype=y.qtype, operator="conv")
        sums = np.full((1, np.size(scale)), 800) if np.ndim(scale) else np.array([800])
        assert np.all(np.abs(unit.requantize(sums)) <= 127), name


def test_planes_of_an_unused_bit_weigh_nothing():
    """Weights +-1 need one bit: the second alpha is 0, and its layer must not disturb the first's."""
    weights = np.random.default_rng(0).choice([-1.0, 1.0], size=(1, 2, 16))
    for alphas in ("tensor", "shared", "channel"):
        planes = BinaryCode.fit(weights, bits=2, alphas=alphas).lower_planes()
        assert np.all(planes[1].qparams.scale > 0)
        assert np.abs(sum(plane.decode() for plane in planes) - weights).max() < 1e-6


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("size", [1e-42, 1e-20, 1e20, 1e38])
def test_weights_of_any_size_that_a_float32_has_get_scales_that_a_float32_has(name, size):
    weights = size * np.random.default_rng(0).uniform(-1, 1, size=(1, 3, 8))
    lowered = FITS[name](weights).lower()
    scale = lowered.qparams.scale
    assert np.all(np.isfinite(scale.astype(np.float32)) & (scale.astype(np.float32) > 0))
    assert np.all(np.isfinite(lowered.decode()))


@pytest.mark.parametrize("name", FITS)
def test_one_weight_is_enough(name):
    fit = (lambda weights: vectors(weights, vector_length=1)) if "vectors" in name else FITS[name]
    assert fit(np.array([[[0.5]]])).decode() == pytest.approx(0.5)


def test_a_single_zero_among_equal_weights_is_kept_by_codes_that_have_a_zero():
    weights = np.array([[[0.5, 0.5, 0.0, -0.5]]])
    for fit in (PowerOfTwo.fit, AdditivePowers.fit, Ternary.fit, Codebook.fit):
        decoded = fit(weights).decode()
        np.testing.assert_allclose(decoded, weights, rtol=1e-7)
        assert decoded[0, 0, 2] == 0


def test_more_entries_than_vectors_are_not_an_error():
    weights = np.random.default_rng(0).normal(size=(1, 3, 8))
    coded = vectors(weights, index_bits=8)
    np.testing.assert_allclose(coded.decode(), weights, atol=1e-12)
    assert coded.codes.max() < 12
    repeated = np.tile([[0.5, -1.0]], (1, 4, 3)).reshape(1, 4, 6)
    np.testing.assert_array_equal(vectors(repeated).decode(), repeated)


# Refusals ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e39])
def test_weights_that_are_no_numbers_are_refused(name, wrong):
    weights = np.ones((1, 2, 4))
    weights[0, 1, 2] = wrong
    with pytest.raises(NumericsError) as caught:
        FITS[name](weights)
    assert str(caught.value) == "weights: expected finite numbers, got NaN or infinity"


@pytest.mark.parametrize("name", FITS)
def test_weights_of_other_dimensions_are_refused(name):
    for shape in ((4, 4), (1, 0, 4)):
        with pytest.raises(NumericsError) as caught:
            FITS[name](np.ones(shape))
        assert str(caught.value) == f"weights: expected (groups, N, K) with at least one element, got shape {shape}"


ONES = np.ones((1, 2, 6))


@pytest.mark.parametrize(("fit", "message"), [
    (lambda: PowerOfTwo.fit(ONES, bits=1), "bits: expected 2 to 6, got 1"),
    (lambda: PowerOfTwo.fit(ONES, bits=7), "bits: expected 2 to 6, got 7"),
    (lambda: PowerOfTwo.fit(ONES, bits=4.0), "bits: expected 2 to 6, got 4.0"),
    (lambda: PowerOfTwo.fit(ONES, bits=3, magnitudes=4), "magnitudes: expected 1 to 3, got 4"),
    (lambda: PowerOfTwo.fit(ONES, domain="log2"), 'domain: expected one of linear, log, got "log2"'),
    (lambda: PowerOfTwo.fit(ONES, scale="max"), 'scale: expected one of power_of_two, fitted, got "max"'),
    (lambda: AdditivePowers.fit(ONES, bits=1), "bits: expected 2 to 8, got 1"),
    (lambda: AdditivePowers.fit(ONES, bits=6, term_bits=3),
     "bits: expected a sign and a multiple of 3 bits (or, in terms of 2 bits, any width), got 6"),
    (lambda: AdditivePowers.fit(ONES, bits=2, term_bits=2),
     "bits: expected a sign and a multiple of 2 bits (or, in terms of 2 bits, any width), got 2"),
    (lambda: AdditivePowers.fit(ONES, bits=8, term_bits=7), "term_bits: expected 1 to 5, got 7"),
    (lambda: AdditivePowers.fit(ONES, threshold="mse"), 'threshold: expected one of max, fitted, got "mse"'),
    (lambda: Ternary.fit(ONES, delta="twn"), 'delta: expected one of optimal, mean, got "twn"'),
    (lambda: BinaryCode.fit(ONES, bits=0), "bits: expected 1 to 8, got 0"),
    (lambda: BinaryCode.fit(ONES, bits=9), "bits: expected 1 to 8, got 9"),
    (lambda: BinaryCode.fit(ONES, method="horq"), 'method: expected one of greedy, shifted, alternating, got "horq"'),
    (lambda: BinaryCode.fit(ONES, alphas="layer"), 'alphas: expected one of tensor, shared, channel, got "layer"'),
    (lambda: Codebook.fit(ONES, bits=9), "bits: expected 1 to 8, got 9"),
    (lambda: Codebook.fit(ONES, importance=-ONES), "importance: expected finite numbers of at least 0, and not only 0"),
    (lambda: Codebook.fit(ONES, importance=0.0), "importance: expected finite numbers of at least 0, and not only 0"),
    (lambda: Codebook.fit(ONES, importance=np.ones(5)),
     "importance: expected a shape that broadcasts to (1, 2, 6), got (5,)"),
    (lambda: vectors(ONES, vector_length=4),
     "vector_length: expected a length that divides the 6 weights of a channel, got 4"),
    (lambda: vectors(ONES, vector_length=7), "vector_length: expected 1 to 6, got 7"),
    (lambda: vectors(ONES, index_bits=17), "index_bits: expected 1 to 16, got 17"),
    (lambda: vectors(ONES, stages=0), "stages: expected 1 to 16, got 0"),
    (lambda: vectors(ONES, tables="row"), 'tables: expected one of layer, position, got "row"'),
    (lambda: vectors(ONES, input_gram=np.eye(3)),
     "input_gram: expected a symmetric matrix of finite numbers, (2, 2), got shape (3, 3)"),
    (lambda: vectors(ONES, input_gram=-np.eye(2)),
     "input_gram: expected a matrix X' X, got one with a negative eigenvalue or none above 0"),
])
def test_what_a_method_does_not_have_is_refused_in_one_line(fit, message):
    with pytest.raises(NumericsError) as caught:
        fit()
    assert str(caught.value) == message
