"""ACIQ's thresholds against the authors' numbers, and against a minimization that knows the densities only."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from accelsim.quantization.ranges.aciq import Aciq, expected_error, optimal_clipping
from accelsim.quantization.scheme import Scheme

# For 2 to 8 bits. Source: the ACIQ authors' program, submission2019/cnn-quantization, "Alpha coeficients for for gaussian
# clipping" and "... laplace clipping" in int_quantizer.py, which found them by a search.
PUBLISHED = {"gauss": [1.71063519, 2.15159277, 2.55913646, 2.93620062, 3.28691474, 3.6151146, 3.92403714],
             "laplace": [2.83068299, 3.89722946, 5.02864014, 6.20476633, 7.41312622, 8.64561995, 9.89675982]}
# For 1 to 8 bits, one-sided. Source: the same program, alpha_gaus_positive and alpha_laplace_positive, to two digits.
PUBLISHED_ONE_SIDED = {"gauss": [1.71, 2.15, 2.55, 2.93, 3.28, 3.61, 3.92, 4.2],
                       "laplace": [2.83, 3.89, 5.02, 6.2, 7.41, 8.64, 9.89, 11.16]}
DENSITIES = {"gauss": stats.norm, "laplace": stats.laplace}


def integrated_error(alpha, bits, distribution):
    """Clipping by quadrature of the density; rounding as a twelfth of the squared step."""
    clipping, _ = integrate.quad(lambda x: (x - alpha) ** 2 * DENSITIES[distribution].pdf(x), alpha, np.inf, epsabs=0)
    return 2 * clipping + (2 * alpha / 2**bits) ** 2 / 12


@pytest.mark.parametrize("distribution", ["gauss", "laplace"])
def test_thresholds_are_the_published_ones(distribution):
    found = [optimal_clipping(bits, distribution) for bits in range(2, 9)]
    assert found == pytest.approx(PUBLISHED[distribution], abs=2e-6)


@pytest.mark.parametrize("distribution", ["gauss", "laplace"])
def test_one_sided_thresholds_are_the_published_ones(distribution):
    found = [optimal_clipping(bits + 1, distribution) for bits in range(1, 9)]
    assert found == pytest.approx(PUBLISHED_ONE_SIDED[distribution], abs=0.0171)  # 4.2 stands for 4.2163, 3.28 for 3.2869


@pytest.mark.parametrize("distribution", ["gauss", "laplace"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12])
def test_thresholds_minimize_the_error_that_quadrature_of_the_density_finds(distribution, bits):
    alpha = optimal_clipping(bits, distribution)
    assert expected_error(alpha, bits, distribution) == pytest.approx(integrated_error(alpha, bits, distribution), rel=1e-6)
    best = optimize.minimize_scalar(integrated_error, bounds=(0.5 * alpha, 2 * alpha), args=(bits, distribution),
                                    method="bounded", options={"xatol": 1e-7})
    assert alpha == pytest.approx(best.x, rel=1e-3)  # the valley is flat
    assert expected_error(alpha, bits, distribution) <= best.fun * (1 + 1e-9)


def test_thresholds_grow_with_the_bits_up_to_the_widest_scheme():
    for distribution in ("gauss", "laplace"):
        found = [optimal_clipping(bits, distribution) for bits in range(1, 18)]
        assert found == sorted(found)
        assert found[-1] < 32


def error_of(values, scheme, ends):
    grid = scheme.qparams(*ends)
    return float(np.mean((values - grid.dequantize(grid.quantize(values))) ** 2))


@pytest.mark.parametrize("symmetry", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("is_rectified", [False, True])
@pytest.mark.parametrize("distribution", ["gauss", "laplace"])
@pytest.mark.parametrize("bits", [3, 4, 6])
def test_the_range_is_near_the_best_of_drawn_values(distribution, is_rectified, symmetry, bits):
    values = DENSITIES[distribution].rvs(size=100000, scale=0.7, random_state=0)
    values = np.maximum(values, 0) if is_rectified else values
    scheme = Scheme(bits, symmetry)
    low = 0.0 if is_rectified and symmetry == "asymmetric" else -1.0
    ends = [(low * end, end) for end in np.linspace(0.5, 12, 116)]
    best = min(error_of(values, scheme, pair) for pair in ends)
    assert error_of(values, scheme, Aciq(distribution).range_of(values, scheme)) <= best * 1.1


def test_zeros_behind_a_relu_do_not_change_the_range():
    values = np.abs(np.random.default_rng(0).standard_normal(1000))
    for distribution in ("gauss", "laplace"):
        few, many = (Aciq(distribution).range_of(np.append(values, np.zeros(zeros)), Scheme(4)) for zeros in (0, 5000))
        assert many[1].item() == pytest.approx(few[1].item(), rel=1e-12)


def test_negative_values_are_the_mirror_of_positive_ones():
    values = np.abs(np.random.default_rng(1).standard_normal(1000))
    for distribution in ("gauss", "laplace"):
        up, down = (Aciq(distribution).range_of(sign * values, Scheme(4)) for sign in (1, -1))
        assert (down[0].item(), down[1].item()) == pytest.approx((-up[1].item(), -up[0].item()), rel=1e-12)


def test_the_range_follows_the_mean_and_ends_at_the_extremes():
    values = np.random.default_rng(2).standard_normal(100000) + 1.5
    low, high = Aciq("gauss").range_of(values, Scheme(4))
    assert (low.item(), high.item()) == pytest.approx((1.5 - 2.559, 1.5 + 2.559), abs=0.02)
    even = np.linspace(-1, 1, 1000)
    assert [end.item() for end in Aciq("laplace").range_of(even, Scheme(8))] == [-1.0, 1.0]
