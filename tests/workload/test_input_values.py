"""Inputs are the model's: shape, type and range are checked before anything runs, and told in one line."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.errors import WorkloadError
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule
from accelsim.workload.input_values import load_arrays, samples
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.operation import MatMul
from accelsim.workload.quantized_network import ModelInput, QuantizedLayer, QuantizedNetwork
from accelsim.workload.tensor import Tensor

INT8 = QParams(scale=0.5, zero_point=3, qtype=QType(8, True))
INT4 = QParams(scale=0.5, zero_point=0, qtype=QType(4, False))


def network(*inputs):
    x, w, y = Tensor("t", (1, 2), 8), Tensor("w", (1, 2), 8, is_constant=True), Tensor("y", (1, 1), 8)
    kernel = GridKernel(weights=np.array([[[1, 1]]]), bias=None, input=INT8, weight=INT8, output=INT8, clamp_min=-128,
                        clamp_max=127)
    layer = Layer("fc", MatMul(m=1, k=2, n=1), (x,), y, weights=w)
    return QuantizedNetwork(Network("net", (layer,)), {"fc": QuantizedLayer(kernel, ((1, 2),), (1, 1), INT8)}, inputs, (),
                            rule=Rule("tflite_double"))


ONE = network(ModelInput("image", "t", (1, 2), INT8))
FLOAT = network(ModelInput("image", "t", (1, 2), INT8, is_float=True))
NARROW = network(ModelInput("image", "t", (1, 2), INT4))
TWO = network(ModelInput("image", "t", (1, 2), INT8), ModelInput("mask", "u", (1, 2), INT8))


@pytest.mark.parametrize("key", ["image", "x", "anything"])
def test_the_one_input_of_a_model_is_found_by_its_name_or_as_the_only_array(key):
    (sample,) = samples(ONE, {key: np.array([[1, 2]], np.int8), "source": np.array("a photograph")})
    assert sample["t"].tolist() == [[1, 2]]
    assert sample["t"].dtype == np.int8


@pytest.mark.parametrize(("shape", "count"), [((1, 2), 1), ((5, 1, 2), 5), ((5, 2), 5), ((1, 1, 2), 1)])
def test_an_array_is_one_sample_or_many(shape, count):
    found = samples(ONE, {"image": np.arange(np.prod(shape)).reshape(shape)})
    assert len(found) == count
    assert [sample["t"].ravel().tolist() for sample in found] == [[2 * i, 2 * i + 1] for i in range(count)]


def test_a_model_that_quantizes_its_input_takes_real_numbers():
    (sample,) = samples(FLOAT, {"image": np.array([[0.25, -1e9]])})
    assert sample["t"].tolist() == [[3, -128]]  # 0.25 / 0.5 is a tie: to even, then the zero point


@pytest.mark.parametrize(("of", "arrays", "message"), [
    (ONE, {}, "in.npz: expected an array called image, got none"),
    (TWO, {"image": np.zeros((1, 2), int)}, "in.npz: expected an array called mask, got image"),
    (TWO, {"image": np.zeros((2, 1, 2), int), "mask": np.zeros((1, 2), int)},
     "in.npz: expected as many samples of every input, got image 2, mask 1"),
    (ONE, {"image": np.zeros((3, 3), int)}, "in.npz: image: expected the shape [1, 2], or [samples, 1, 2], got [3, 3]"),
    (ONE, {"image": np.zeros((0, 1, 2), int)}, "in.npz: image: expected at least one sample, got none"),
    (ONE, {"image": np.zeros((1, 2))}, "in.npz: image: expected integers (int8), got float64"),
    (ONE, {"image": np.array([[1, 128]])}, "in.npz: image: expected -128..127 (int8), got 1..128"),
    (NARROW, {"image": np.array([[-1, 15]])}, "in.npz: image: expected 0..15 (uint4), got -1..15"),
    (FLOAT, {"image": np.array([[np.nan, 1]])}, "in.npz: image: expected finite numbers, got NaN or infinity"),
    (FLOAT, {"image": np.array([["a", "b"]])}, "in.npz: image: expected numbers, got str32"),
])
def test_inputs_that_are_not_the_models_are_refused_in_one_line(of, arrays, message):
    with pytest.raises(WorkloadError) as caught:
        samples(of, arrays, file="in.npz")
    assert str(caught.value) == message


def test_files_of_arrays_are_read_and_damaged_ones_refused(tmp_path):
    whole, one, cut, pickled = (tmp_path / name for name in ("a.npz", "b.npy", "c.npz", "d.npy"))
    np.savez(whole, image=[1, 2])
    np.save(one, [3])
    cut.write_bytes(whole.read_bytes()[:40])
    np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
    assert load_arrays(whole)["image"].tolist() == [1, 2]
    assert load_arrays(one)["x"].tolist() == [3]
    for path, problem in ((cut, "got another file or a damaged one"), (pickled, "got another file or a damaged one"),
                          (tmp_path / "none.npz", "no such file")):
        with pytest.raises(WorkloadError, match=problem):
            load_arrays(path)
