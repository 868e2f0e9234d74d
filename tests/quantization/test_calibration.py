"""Calibration sees every sample once a pass, keeps nothing, and tells bad data in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float_networks import mobile
from numpy.typing import NDArray
from quantized_models import convolutional, node, write_graph

from accelsim.errors import WorkloadError
from accelsim.quantization.calibration import observed_ranges
from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placing import place
from accelsim.quantization.preparation.batch_norm_folding import fold_batch_norms
from accelsim.quantization.quantize import quantize
from accelsim.quantization.ranges.observer import Observer
from accelsim.quantization.ranges.setters import range_setter
from accelsim.quantization.scheme import Scheme


def model_of(tmp_path: Path, shape: list[Any] | None = None, op: str = "Relu", inputs: int = 1) -> FloatModel:
    names = [f"x{place}" if place else "x" for place in range(inputs)]
    nodes = [node(op, names, ["y"])]
    path = write_graph(tmp_path / "net.onnx", nodes, {name: (np.float32, shape or [1, 2, 3]) for name in names}, ["y"], {})
    return FloatModel.load(path)


def seen(source: Any, model: FloatModel, name: str = "x") -> list[Any]:
    return [batch[name].tolist() for batch in CalibrationSet(source, model)]


SAMPLES = np.arange(18, dtype=np.float32).reshape(3, 2, 3)


def test_every_source_gives_the_same_batches(tmp_path: Path) -> None:
    model, expected = model_of(tmp_path), [[sample.tolist()] for sample in SAMPLES]
    np.savez(tmp_path / "set.npz", x=SAMPLES)
    np.savez(tmp_path / "other.npz", images=SAMPLES, label=np.array("digits"))
    (tmp_path / "set").mkdir()
    for number, sample in enumerate(SAMPLES):
        np.save(tmp_path / "set" / f"sample_{number}.npy", sample[None])
    sources = [tmp_path / "set.npz", str(tmp_path / "other.npz"), tmp_path / "set", {"x": SAMPLES}, SAMPLES, SAMPLES[:,
                                                                                                                     None],
               [{"x": sample[None]} for sample in SAMPLES], [sample[None] for sample in SAMPLES], iter([SAMPLES]),
               lambda: iter(SAMPLES[:, None]), SAMPLES.astype(np.int16)]
    for source in sources:
        assert seen(source, model) == expected


def test_one_sample_is_a_set(tmp_path: Path) -> None:
    assert seen(SAMPLES[:1], model_of(tmp_path)) == [[SAMPLES[0].tolist()]]
    assert seen(SAMPLES[0][None], model_of(tmp_path)) == [[SAMPLES[0].tolist()]]


def test_an_open_batch_takes_several_samples_at_once(tmp_path: Path) -> None:
    model = model_of(tmp_path, ["N", 2, 3])
    many = np.zeros((40, 2, 3), np.float32)
    assert [len(batch) for batch in seen(many, model)] == [16, 16, 8]


def test_a_sample_of_an_open_batch_may_come_without_it(tmp_path: Path) -> None:
    for number, sample in enumerate(SAMPLES):
        np.save(tmp_path / f"{number}.npy", sample.reshape(2, 3))
    model = model_of(tmp_path, ["N", 2, 3])
    assert seen(tmp_path, model) == SAMPLES.reshape(-1, 1, 2, 3).tolist()


def test_inputs_are_read_side_by_side(tmp_path: Path) -> None:
    model = model_of(tmp_path, op="Add", inputs=2)
    batches = list(CalibrationSet({"x1": SAMPLES, "x": SAMPLES + 1}, model))
    assert [(batch["x"] - batch["x1"]).tolist() for batch in batches] == 3 * [np.ones((1, 2, 3)).tolist()]


def test_a_set_can_be_read_again_but_an_iterator_cannot(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    data = CalibrationSet([SAMPLES], model)
    assert [len(list(data)), len(list(data)), data.batches] == [3, 3, 3]
    once = CalibrationSet(iter([SAMPLES]), model)
    list(once)
    with pytest.raises(WorkloadError) as caught:
        list(once)
    assert str(caught.value) == ("expected samples that can be read again (a list, or a function that makes the iterator), "
                                 "got an iterator")


def complaint(source: Any, model: FloatModel) -> str:
    with pytest.raises(WorkloadError) as caught:
        list(CalibrationSet(source, model))
    return str(caught.value)


def test_bad_data_are_told_in_one_line(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "bad.npz", x=np.full((2, 2, 3), np.nan))
    (tmp_path / "text.npz").write_text("no arrays")
    assert complaint([], model) == "expected at least one sample to calibrate on, got none"
    assert complaint(SAMPLES[:0], model) == "expected at least one sample to calibrate on, got none"
    assert complaint(tmp_path / "empty", model) == (
        f"{tmp_path / 'empty'}: expected at least one sample to calibrate on, got none")
    assert complaint(tmp_path / "bad.npz", model) == (
        f"{tmp_path / 'bad.npz'}: x: expected finite numbers, got NaN or infinity")
    assert complaint(tmp_path / "none.npz", model) == f"{tmp_path / 'none.npz'}: no such file"
    assert complaint(tmp_path / "text.npz", model) == (
        f"{tmp_path / 'text.npz'}: expected an .npz or .npy file of plain arrays, got another file or a damaged one")
    assert complaint(np.zeros((4, 2, 2)), model) == "x: expected the shape [1, 2, 3], or [samples, 1, 2, 3], got [4, 2, 2]"
    assert complaint(np.zeros((2, 4)), model_of(tmp_path, ["N", 2, 3])) == (
        "x: expected the shape [N, 2, 3] or [2, 3], got [2, 4]")
    assert complaint({"images": SAMPLES, "masks": SAMPLES}, model) == "expected an array called x, got images, masks"
    assert complaint(np.full((1, 2, 3), 1e300), model) == "x: expected finite numbers, got one that float32 does not hold"
    assert complaint(np.array(["a"]), model) == "x: expected numbers of type float, got str32"
    two = model_of(tmp_path, op="Add", inputs=2)
    assert complaint({"x": SAMPLES, "x1": SAMPLES[:2]}, two) == "expected as many samples of every input, got x 3, x1 2"
    assert complaint({"x": SAMPLES}, two) == 'expected an array called x1, got x'


def test_ranges_are_those_of_all_values_of_a_tensor(tmp_path: Path) -> None:
    network = convolutional()
    model = FloatModel.load(network.save(tmp_path / "net.onnx"))
    groups = {name: group for name, group in place(model).groups.items() if group.fixed is None}
    samples = network.samples(5)
    observers = {name: range_setter("min_max").observer(Scheme(8)) for name in groups}
    found = observed_ranges(model, observers, groups, CalibrationSet(np.stack(samples), model))
    for name, group in groups.items():
        values = np.concatenate([model.run({"x": sample}, group.owners)[tensor].ravel()
                                 for sample in samples for tensor in group.owners])
        # A session that fetches other tensors may fuse otherwise and round otherwise.
        assert np.allclose(found[name], (values.min(), values.max()), rtol=1e-5, atol=1e-6)


def test_a_group_of_several_tensors_has_the_range_of_all(tmp_path: Path) -> None:
    model = model_of(tmp_path, op="Sub", inputs=2)

    class Both:
        owners = ("x", "x1")

    observer = range_setter("min_max").observer(Scheme(8))
    data = CalibrationSet({"x": SAMPLES, "x1": -2 * SAMPLES}, model)
    low, high = observed_ranges(model, {"both": observer}, {"both": Both()}, data)["both"]
    assert (low.item(), high.item()) == (-34, 17)


@pytest.mark.parametrize("setter", ["min_max", "moving_average", "percentile"])
def test_of_several_tensors_with_nan_the_first_is_named(setter: str, tmp_path: Path) -> None:
    names = [f"t{number}" for number in range(12)]
    nodes = [node("Sqrt" if name == "t3" else "Tanh", [source], [name])
             for source, name in zip(["x", *names], names, strict=False)]
    path = write_graph(tmp_path / "net.onnx", nodes, {"x": (np.float32, [1, 4])}, ["t11"], {})
    model = FloatModel.load(path)
    groups = {name: _Alone(name) for name in names}
    observers = {name: range_setter(setter).observer(Scheme(8)) for name in names}
    with pytest.raises(WorkloadError) as caught:
        observed_ranges(model, observers, groups, CalibrationSet(-np.ones((2, 1, 4), np.float32), model))
    assert str(caught.value) == f'{path}: tensor "t3": expected finite numbers, got nan'


class _Alone:
    """One tensor that is its own group."""

    def __init__(self, name: str) -> None:
        self.owners = (name,)


class Twice(Observer):
    """Must see the data twice, and notes what it sees."""

    def __init__(self) -> None:
        super().__init__(passes=2)
        self.sums: list[float] = []

    def _take(self, values: NDArray[Any]) -> None:
        self.sums.append(float(values.sum()))

    def _range(self) -> Any:
        return np.asarray(-1.0), np.asarray(1.0)


def test_the_set_is_read_as_often_as_an_observer_asks(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    groups = place(model).groups
    readings = []

    def source() -> Iterator[Any]:
        readings.append(1)
        return iter(SAMPLES[:, None])

    twice, told = Twice(), []
    observers = {"x": range_setter("min_max").observer(Scheme(8)), "y": twice}
    found = observed_ranges(model, observers, groups, CalibrationSet(source, model), lambda *news: told.append(news))
    assert len(readings) == 2
    assert twice.sums == 2 * [float(sample.sum()) for sample in SAMPLES]
    assert found["x"][1] == 17
    assert [(done, count) for done, count, _ in told] == [(1, 1), (2, 2), (3, 6), (4, 6), (5, 6), (6, 6)]
    assert told[-1][2] == "calibration, pass 2 of 2"


SETTERS = ["min_max", "moving_average", "percentile", "mse", "omse", "kl_divergence", "cross_entropy", "aciq"]


@pytest.mark.parametrize("name", SETTERS)
def test_observers_keep_no_memory_that_the_next_batch_overwrites(name: str, tmp_path: Path) -> None:
    network = mobile()
    model = fold_batch_norms(FloatModel.load(network.save(tmp_path / "net.onnx"))).model
    groups = {group: found for group, found in place(model).groups.items() if group in ("y", "h1", "r6")}
    groups = groups if name != "cross_entropy" else {"y": groups["y"]}
    samples = network.samples(4)
    observers = [{group: range_setter(name).observer(Scheme(6)) for group in groups} for _ in range(2)]
    found = observed_ranges(model, observers[0], groups, CalibrationSet(samples, model))
    tensors = [tensor for group in groups.values() for tensor in group.owners]
    for group, observer in observers[1].items():
        for _ in range(observer.passes):
            for sample in samples:
                observer.observe(model.run({"x": sample}, tensors)[group].copy())
            observer.end_pass()
        assert np.array_equal(observer.range(), found[group])


def test_tensors_that_are_not_finite_are_named(tmp_path: Path) -> None:
    model = model_of(tmp_path, op="Log")
    with pytest.raises(WorkloadError) as caught:
        quantize(model, -1 - SAMPLES)
    assert str(caught.value) == f'{model.path}: tensor "y": expected finite numbers, got nan'


def test_a_network_without_data_is_refused_where_ranges_need_some(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    with pytest.raises(WorkloadError) as caught:
        quantize(model)
    assert str(caught.value) == (
        f"{model.path}: expected a calibration set, from which min_max takes the ranges of activations, got none")


def test_constant_and_zero_activations_get_scales_above_0(tmp_path: Path) -> None:
    quantized = quantize(model_of(tmp_path), np.zeros((2, 2, 3)))
    assert all(grid.scale > 0 for grid in quantized.activations.values())
    assert quantize(model_of(tmp_path), np.full((1, 2, 3), 3.0)).activations["x"].dequantize([255]) == pytest.approx(3.0)
