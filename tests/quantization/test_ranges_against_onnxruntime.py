"""Ranges on the tensors that onnxruntime's calibrators see, against what they find: equal floats."""

import contextlib
import io

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime.quantization import calibrate
from onnxruntime.quantization.quant_utils import compute_scale_zp

from accelsim.quantization.ranges.kl_divergence import KlDivergence
from accelsim.quantization.ranges.min_max import MinMax
from accelsim.quantization.ranges.moving_average import MovingAverage
from accelsim.quantization.ranges.percentile import Percentile
from accelsim.quantization.scheme import Scheme

ASYMMETRIC, SYMMETRIC = Scheme(8), Scheme(8, "symmetric")


class Batches(calibrate.CalibrationDataReader):
    def __init__(self, batches):
        self.left = list(batches)

    def get_next(self):
        return {"x": self.left.pop(0)} if self.left else None


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """``y = relu(x)`` of any number of values."""
    path = tmp_path_factory.mktemp("calibration") / "relu.onnx"
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "relu", value[:1], value[1:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def calibrated(kind, model, collections, tmp_path, **options):
    """The ranges of x and y that a calibrator finds, each element of `collections` being shown to it in one call."""
    calibrator = kind(str(model), augmented_model_path=str(tmp_path / "augmented.onnx"), **options)
    calibrator.augment_graph()
    calibrator.create_inference_session()
    with contextlib.redirect_stdout(io.StringIO()):
        for batches in collections:
            calibrator.collect_data(Batches(batches))
        found = calibrator.compute_data()
    return {name: tuple(float(np.asarray(end).item()) for end in found[name].range_value) for name in "xy"}


def observed(setter, scheme, batches):
    observer = setter.observer(scheme)
    for batch in batches:
        observer.observe(batch)
    observer.end_pass()
    return tuple(end.item() for end in observer.range())


def bell_batches(seed, growing=False):
    generator = np.random.default_rng(seed)
    return [(generator.standard_normal(4000) * (1 + 0.7 * growing * number) + 0.2).astype(np.float32) for number in range(5)]


def test_min_max_is_that_of_min_max_calibrater(model, tmp_path):
    batches = bell_batches(0)
    expected = calibrated(calibrate.MinMaxCalibrater, model, [batches], tmp_path)
    assert observed(MinMax(), ASYMMETRIC, batches) == expected["x"]
    assert observed(MinMax(), ASYMMETRIC, [np.maximum(batch, 0) for batch in batches]) == expected["y"]


def test_a_symmetric_grid_has_the_scale_of_the_symmetric_min_max_calibrater(model, tmp_path):
    batches = bell_batches(1)
    low, high = calibrated(calibrate.MinMaxCalibrater, model, [batches], tmp_path, symmetric=True)["x"]
    ours = Scheme(8, "symmetric", is_restricted=True).qparams(*observed(MinMax(), SYMMETRIC, batches))
    assert ours.scale.item() == np.float32((high - low) / 254)


def test_moving_average_is_that_of_min_max_calibrater_but_for_float32(model, tmp_path):
    batches = bell_batches(2, growing=True)
    expected = calibrated(calibrate.MinMaxCalibrater, model, [[batch] for batch in batches], tmp_path, moving_average=True,
                          averaging_constant=0.1)["x"]
    assert observed(MovingAverage(0.1), ASYMMETRIC, batches) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("growing", [False, True])
@pytest.mark.parametrize("percentile", [99.0, 99.99, 99.999])
@pytest.mark.parametrize("scheme", [ASYMMETRIC, SYMMETRIC], ids=["asymmetric", "symmetric"])
def test_percentile_is_that_of_percentile_calibrater(model, tmp_path, scheme, percentile, growing):
    batches = bell_batches(3, growing)
    expected = calibrated(calibrate.PercentileCalibrater, model, [[batch] for batch in batches], tmp_path,
                          symmetric=scheme is SYMMETRIC, percentile=percentile)
    setter = Percentile(percentile)
    assert observed(setter, scheme, [np.maximum(batch, 0) for batch in batches]) == expected["y"]
    assert observed(setter, scheme, batches) == expected["x"]


@pytest.mark.parametrize(("bins", "levels", "growing"), [
    (128, 128, False), (128, 128, True), (300, 31, True), (800, 101, False),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in ((2048, 255, False), (2048, 128, True), (2048, 255, True)))])
def test_kl_divergence_is_that_of_entropy_calibrater(model, tmp_path, bins, levels, growing):
    batches = bell_batches(4, growing)
    expected = calibrated(calibrate.EntropyCalibrater, model, [[batch] for batch in batches], tmp_path, num_bins=bins,
                          num_quantized_bins=levels)
    setter = KlDivergence(bins, levels)
    assert observed(setter, ASYMMETRIC, batches) == expected["x"]
    assert observed(setter, ASYMMETRIC, [np.maximum(batch, 0) for batch in batches]) == expected["y"]


def collected(method, batches, *, symmetric=False, bins, levels=128, percentile=99.999):
    """The range that onnxruntime's histogram collector finds, without a network."""
    collector = calibrate.HistogramCollector(method, symmetric, bins, levels, percentile, "same")
    with contextlib.redirect_stdout(io.StringIO()):
        for batch in batches:
            collector.collect({"x": batch})
        low, high = collector.compute_collection_result()["x"][:2]
    return float(low), float(high)


SHAPES = {"normal": lambda g, n: g.standard_normal(n), "laplace": lambda g, n: g.laplace(size=n),
          "heavy": lambda g, n: g.standard_t(2, size=n), "relu": lambda g, n: np.maximum(g.standard_normal(n), 0),
          "negative": lambda g, n: -g.exponential(size=n), "offset": lambda g, n: g.uniform(0.5, 3, size=n),
          "few": lambda g, n: g.choice([-1.5, 0.0, 0.25, 3.0], size=n)}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), shape=st.sampled_from(sorted(SHAPES)), number=st.integers(1, 3),
       sizes=st.integers(1, 3000), scale=st.floats(1e-6, 1e6), bins=st.sampled_from([64, 100]),
       levels=st.sampled_from([8, 15, 64]), percentile=st.sampled_from([50.0, 90.0, 99.9, 100.0]))
def test_histogram_ranges_are_those_of_the_histogram_collector(seed, shape, number, sizes, scale, bins, levels, percentile):
    generator = np.random.default_rng(seed)
    batches = [(SHAPES[shape](generator, sizes) * scale).astype(np.float32) for _ in range(number)]
    # No batch has smaller magnitudes than the first, and that is not of zeros alone: there the two differ on purpose.
    batches = [np.append(batch, np.float32([0, scale])) for batch in batches]
    reach = [float(np.abs(batch).max()) for batch in batches]
    if max(reach) < 6 * reach[0]:  # ours stops at 8 times the bins; onnxruntime is very slow by then
        setter = KlDivergence(bins, levels)
        assert observed(setter, ASYMMETRIC, batches) == collected("entropy", batches, bins=bins, levels=levels)
    for scheme in (ASYMMETRIC, SYMMETRIC):
        expected = collected("percentile", batches, symmetric=scheme is SYMMETRIC, bins=bins, percentile=percentile)
        assert observed(Percentile(percentile, bins), scheme, batches) == expected


@settings(max_examples=300, deadline=None)
@given(low=st.floats(-1e6, 1e6, width=32), width=st.floats(0, 1e6, width=32), is_signed=st.booleans())
def test_an_asymmetric_grid_is_that_of_onnxruntimes_quantizer(low, width, is_signed):
    low, high = np.float32(low), np.float32(np.float32(low) + np.float32(width))
    dtype = np.dtype(np.int8 if is_signed else np.uint8)
    limits = (np.array(end, dtype) for end in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    zero_point, scale = compute_scale_zp(low, high, *limits)
    ours = Scheme(8, is_signed=is_signed).qparams(low, high)
    assert ours.scale.item() == float(scale)
    assert ours.zero_point.item() == int(zero_point)
