"""Errors of quantized values against scipy and by hand."""

import numpy as np
import pytest
from scipy.special import log_softmax, rel_entr, softmax

from accelsim.errors import NumericsError
from accelsim.quantization.error_measures import mean_squared_error, softmax_cross_entropy, softmax_divergence, sqnr_db

LOGITS = np.random.default_rng(0).standard_normal((5, 7, 3)) * 8
OTHERS = LOGITS + np.random.default_rng(1).standard_normal(LOGITS.shape)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_measures_are_scipys(axis):
    p = softmax(LOGITS, axis=axis)
    expected = np.mean(-np.sum(p * log_softmax(OTHERS, axis=axis), axis=axis))
    assert softmax_cross_entropy(LOGITS, OTHERS, axis=axis) == pytest.approx(expected, rel=1e-12)
    divergence = np.mean(np.sum(rel_entr(p, softmax(OTHERS, axis=axis)), axis=axis))
    assert softmax_divergence(LOGITS, OTHERS, axis=axis) == pytest.approx(divergence, rel=1e-9)


def test_huge_logits_do_not_overflow():
    assert softmax_divergence([[1e300, -1e300]], [[1e300, -1e300]]) == 0.0
    assert softmax_cross_entropy([[1000.0, 0.0]], [[1000.0, 500.0]]) == 0.0


def test_a_bit_is_worth_6_decibels_of_an_even_distribution():
    x = np.linspace(-1, 1, 100001)
    eight, nine = (sqnr_db(x, np.rint(x * 2**bits) / 2**bits) for bits in (7, 8))
    assert nine - eight == pytest.approx(20 * np.log10(2), abs=0.01)


def test_float32_values_are_summed_in_float64():
    x = np.full(10**6, 0.1, dtype=np.float32)
    assert mean_squared_error(x, np.zeros_like(x)) == pytest.approx(float(np.float32(0.1)) ** 2, rel=1e-12)


@pytest.mark.parametrize(("values", "quantized", "message"), [
    ([1.0], [1.0, 2.0], "quantized: expected tensors of one shape, got (1,) and (2,)"),
    ([], [], "values: expected at least one value, got none")])
def test_tensors_that_cannot_be_compared_are_refused(values, quantized, message):
    with pytest.raises(NumericsError) as caught:
        mean_squared_error(values, quantized)
    assert str(caught.value) == message
