"""k-means of weights and of vectors: against all partitions, against scipy, and the effect of importance and of stages."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.vq import kmeans2
from scipy.stats import norm

from accelsim.quantization.nonuniform.codebook import Codebook
from accelsim.quantization.nonuniform.product_quantization import ProductQuantization
from accelsim.quantization.nonuniform.scalar_clusters import scalar_clusters
from accelsim.quantization.nonuniform.sorted_rows import SortedRows
from accelsim.quantization.nonuniform.vector_clusters import vector_clusters

DRAWS = ("normal", "laplace", "uniform")


def drawn(kind, shape, seed=0):
    return getattr(np.random.default_rng(seed), kind)(size=shape)


def interval_error(values, importance):
    total = importance.sum()
    mean = (importance * values).sum() / total if total > 0 else 0.0
    return float(np.sum(importance * (values - mean) ** 2))


def error_of(rows, cuts):
    edges = [0, *cuts[0], rows.values.shape[1]]
    return sum(interval_error(rows.values[0][a:b], np.ones(b - a)) for a, b in itertools.pairwise(edges) if b > a)


# Numbers -------------------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.booleans(), st.integers(1, 5))
def test_clusters_are_the_best_of_all_partitions(seed, bits, is_weighted, decimals):
    """Every way of cutting the ascending weights into at most 2^bits runs."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(size=rng.integers(1, 11)), decimals)
    importance = rng.random(values.size) * (rng.random(values.size) > 0.2) + 1e-9 if is_weighted else np.ones(values.size)
    order = np.argsort(values)
    ascending, counted = values[order], importance[order]
    least = min(sum(interval_error(ascending[a:b], counted[a:b]) for a, b in itertools.pairwise((0, *cuts, values.size)))
                for clusters in range(1, min(2**bits, values.size) + 1)
                for cuts in itertools.combinations(range(1, values.size), clusters - 1))
    weights = values[None, None]
    coded = Codebook.fit(weights, bits=bits, importance=importance[None, None] if is_weighted else None)
    assert coded.squared_error(weights, importance=importance) == pytest.approx(least, rel=1e-9, abs=1e-13)
    assert np.all(np.diff(coded.entries) > 0)
    assert coded.codes.max() < len(coded.entries) <= 2**bits


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("bits", [2, 4, 6])
def test_the_objective_is_no_worse_than_scipys(kind, bits):
    for seed in range(3):
        weights = drawn(kind, (1, 4, 500), seed)
        centroids, codes = kmeans2(weights.ravel(), 2**bits, iter=100, minit="++", rng=seed)
        theirs = float(np.sum((weights.ravel() - centroids[codes]) ** 2))
        assert Codebook.fit(weights, bits=bits).squared_error(weights) <= theirs * (1 + 1e-12)


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize(("bits", "excess"), [(2, 1e-4), (4, 1e-3), (6, 1e-2)])
def test_weights_thinned_for_speed_come_to_nearly_the_optimum(kind, bits, excess):
    """A sixteenth of the places at which the optimum may cut."""
    rows = SortedRows(drawn(kind, (1, 8000)))
    best = error_of(rows, scalar_clusters(rows, 2**bits))
    found = error_of(rows, scalar_clusters(rows, 2**bits, most_places=512))
    assert best * (1 - 1e-12) <= found <= best * (1 + excess)


def test_uniform_weights_get_evenly_spaced_entries():
    """The optimum for n evenly spaced weights in k equal runs: error (d / k)^2 / 12 a weight, d their range."""
    weights = np.linspace(-1, 1, 4096)[None, None]
    coded = Codebook.fit(weights, bits=4)
    np.testing.assert_allclose(coded.entries, (np.arange(16) - 7.5) / 8, atol=1e-3)
    assert coded.squared_error(weights) / 4096 == pytest.approx((2 / 16) ** 2 / 12, rel=1e-3)


def test_normal_weights_reach_max_and_lloyds_distortion():
    """Max, "Quantizing for minimum distortion", 1960, table I: 0.1175 with 4 levels, 0.03454 with 8, 0.009497 with 16."""
    weights = norm.ppf((np.arange(20_000) + 0.5) / 20_000)[None, None]
    for bits, distortion in ((2, 0.1175), (3, 0.03454), (4, 0.009497)):
        assert Codebook.fit(weights, bits=bits).squared_error(weights) / weights.size == pytest.approx(distortion, rel=0.01)


def test_importance_lowers_the_weighted_error_and_raises_the_plain_one():
    rng = np.random.default_rng(1)
    weights, hessian = rng.normal(size=(1, 8, 400)), rng.lognormal(0, 2, (1, 8, 400)) * np.linspace(0.1, 3, 400)
    plain, weighted = Codebook.fit(weights, bits=3), Codebook.fit(weights, bits=3, importance=hessian)
    assert weighted.squared_error(weights, importance=hessian) < 0.9 * plain.squared_error(weights, importance=hessian)
    assert weighted.squared_error(weights) > plain.squared_error(weights)
    even = Codebook.fit(weights, bits=3, importance=5.0)
    np.testing.assert_allclose(even.entries, plain.entries)


def test_importance_of_an_input_is_that_of_its_weights():
    rng = np.random.default_rng(2)
    weights, inputs = rng.normal(size=(1, 6, 50)), rng.lognormal(0, 1, 50)
    one, other = (Codebook.fit(weights, bits=2, importance=part)
                  for part in (inputs, np.broadcast_to(inputs, weights.shape).copy()))
    np.testing.assert_array_equal(one.decode(), other.decode())


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_a_scale_a_channel_gains_where_channels_differ_in_size(bits):
    rng = np.random.default_rng(bits)
    weights = rng.normal(size=(1, 32, 300)) * rng.lognormal(0, 0.7, (1, 32, 1))
    one, many = (Codebook.fit(weights, bits=bits, per_channel=per_channel) for per_channel in (False, True))
    assert many.sqnr_db(weights) > one.sqnr_db(weights) + 1
    assert many.entries.shape == (2**bits,)
    assert many.scale.shape == (32,)


def test_as_many_entries_as_different_weights_lose_nothing():
    weights = np.random.default_rng(3).choice([-0.5, 0.0, 0.1, 2.0], size=(2, 3, 40))
    coded = Codebook.fit(weights, bits=4)
    assert coded.entries.tolist() == [-0.5, 0.0, 0.1, 2.0]
    np.testing.assert_array_equal(coded.decode(), weights)


# Vectors -------------------------------------------------------------------------------------------------------------------


def test_clusters_of_vectors_are_on_average_better_than_scipys_from_as_many_starts():
    """A local optimum each: of twenty sets none is more than 2 % worse, and the mean is better."""
    relative = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        count, length, clusters = int(rng.integers(200, 1500)), int(rng.choice([2, 4, 8])), int(rng.choice([4, 16, 32]))
        vectors = drawn(DRAWS[seed % 3], (count, length), seed)
        centroids, codes = vector_clusters(vectors, clusters, generator=np.random.default_rng(seed), starts=2)
        ours = np.sum((vectors - centroids[codes]) ** 2)
        found = [kmeans2(vectors, clusters, iter=50, minit="++", rng=100 * seed + start) for start in range(2)]
        relative.append(ours / min(np.sum((vectors - table[places]) ** 2) for table, places in found) - 1)
    assert np.mean(relative) < 0
    assert max(relative) < 0.02


def test_every_vector_has_its_nearest_centroid_and_every_centroid_is_a_mean():
    vectors = drawn("normal", (800, 4))
    centroids, codes = vector_clusters(vectors, 16, generator=np.random.default_rng(0))
    for place, centroid in enumerate(centroids):
        np.testing.assert_allclose(vectors[codes == place].mean(axis=0), centroid, atol=1e-12)
    distances = np.square(vectors[:, None] - centroids).sum(axis=2)
    taken = distances[np.arange(800), codes].sum()
    assert taken <= distances.min(axis=1).sum() * (1 + 1e-4)  # all but the turn that was too small to go on


def test_vectors_of_no_weight_do_not_move_the_centroids():
    vectors = np.concatenate([drawn("normal", (300, 3)), 100 + drawn("normal", (50, 3), 1)])
    weights = np.r_[np.ones(300), np.zeros(50)]
    centroids, _codes = vector_clusters(vectors, 4, generator=np.random.default_rng(0), weights=weights)
    assert np.abs(centroids).max() < 10


def test_a_large_set_is_clustered_from_a_sample_to_nearly_the_error_of_all():
    vectors = drawn("laplace", (40_000, 2))
    centroids, codes = vector_clusters(vectors, 16, generator=np.random.default_rng(0))  # 4,096 of them first
    table, places = kmeans2(vectors, 16, iter=30, minit="++", rng=0)
    assert np.sum((vectors - centroids[codes]) ** 2) < 1.02 * np.sum((vectors - table[places]) ** 2)


@pytest.mark.parametrize(("tables", "bits"), [("layer", 4), ("position", 2)])
def test_the_error_falls_with_each_residual_stage(tables, bits):
    weights = drawn("normal", (1, 24, 96))
    coded = ProductQuantization.fit(weights, vector_length=4, index_bits=bits, stages=4, tables=tables,
                                    generator=np.random.default_rng(0))
    errors = [float(np.sum((weights - coded.decode_stages(count)) ** 2)) for count in range(5)]
    assert all(later < 0.9 * earlier for earlier, later in itertools.pairwise(errors))
    assert errors[-1] == coded.squared_error(weights)
    assert coded.bits == bits


def test_a_table_for_each_position_has_the_smaller_error_and_is_kmeans_of_that_position():
    weights = drawn("normal", (1, 64, 12)) * np.repeat([1.0, 5.0, 0.2], 4)
    one, three = (ProductQuantization.fit(weights, vector_length=4, index_bits=3, tables=tables, starts=3,
                                          generator=np.random.default_rng(0)) for tables in ("layer", "position"))
    assert three.squared_error(weights) < one.squared_error(weights)
    assert one.tables.shape == (1, 1, 8, 4)
    assert three.tables.shape == (1, 3, 8, 4)
    for place in range(3):
        part = weights[0, :, 4 * place:4 * place + 4]
        for code in range(8):
            np.testing.assert_allclose(three.tables[0, place, code], part[three.codes[0, :, place] == code].mean(axis=0))


def test_vectors_of_one_weight_are_a_codebook():
    weights = drawn("laplace", (1, 8, 50))
    scalar = Codebook.fit(weights, bits=3)
    vectors = ProductQuantization.fit(weights, vector_length=1, index_bits=3, starts=5, generator=np.random.default_rng(0))
    assert scalar.squared_error(weights) * (1 - 1e-9) <= vectors.squared_error(weights) < 1.1 * scalar.squared_error(weights)


def test_correlated_neighbours_gain_from_vectors_at_the_same_bits():
    rng = np.random.default_rng(4)
    weights = np.repeat(rng.normal(size=(1, 32, 60)), 4, axis=2) + 0.2 * rng.normal(size=(1, 32, 240))
    scalar = Codebook.fit(weights, bits=1)
    vectors = ProductQuantization.fit(weights, vector_length=4, index_bits=4, generator=rng)
    assert vectors.bits == scalar.bits == 1
    assert vectors.sqnr_db(weights) > scalar.sqnr_db(weights) + 6


def test_the_inputs_gram_matrix_lowers_the_error_of_the_outputs():
    """Stock et al.: the error that counts is that of the layer's outputs, here of inputs of which two of four are strong."""
    rng = np.random.default_rng(5)
    weights = rng.normal(size=(1, 32, 120))
    inputs = rng.normal(size=(500, 30, 4)) * [3.0, 0.3, 0.3, 1.0]
    inputs[..., 1] += inputs[..., 0]
    rows = inputs.reshape(500, 120)
    gram = np.einsum("npi,npj->ij", inputs, inputs)
    plain, aware = (ProductQuantization.fit(weights, vector_length=4, index_bits=5, input_gram=part, starts=3,
                                            generator=np.random.default_rng(0)) for part in (None, gram))
    errors = [np.sum((rows @ (weights - coded.decode())[0].T) ** 2) for coded in (plain, aware)]
    assert errors[1] < 0.7 * errors[0]
    assert plain.squared_error(weights) < aware.squared_error(weights)
    same = ProductQuantization.fit(weights, vector_length=4, index_bits=5, input_gram=7 * np.eye(4), starts=3,
                                   generator=np.random.default_rng(0))
    assert same.squared_error(weights) == pytest.approx(plain.squared_error(weights), rel=0.02)


def test_the_same_generator_gives_the_same_clusters():
    weights = drawn("normal", (1, 16, 64))
    one, other = (ProductQuantization.fit(weights, vector_length=2, index_bits=4, generator=np.random.default_rng(9))
                  for _ in range(2))
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_array_equal(one.tables, other.tables)


def test_scales_a_channel_gain_for_vectors_too():
    rng = np.random.default_rng(6)
    weights = rng.normal(size=(1, 32, 120)) * rng.lognormal(0, 0.8, (1, 32, 1))
    one, many = (ProductQuantization.fit(weights, vector_length=2, index_bits=6, per_channel=per_channel, generator=rng)
                 for per_channel in (False, True))
    assert many.sqnr_db(weights) > one.sqnr_db(weights) + 1


def test_sqnr_is_that_of_its_formula():
    weights = drawn("normal", (1, 4, 30))
    coded = Codebook.fit(weights, bits=2)
    error = np.sum((weights - coded.decode()) ** 2)
    assert coded.sqnr_db(weights) == pytest.approx(10 * math.log10(np.sum(weights**2) / error))
    assert Codebook.fit(np.ones((1, 1, 3)), bits=2).sqnr_db(np.ones((1, 1, 3))) == math.inf
