"""Calibration of MobileNetV2 on 100 images of 224 x 224, against the time in which onnxruntime runs the network on them.

The network has MobileNetV2's shapes and random weights; its convolutions keep the deviation of what they read. Both take the
same batches and the same processors; the float network is asked for its output alone, as whoever uses it asks.
"""

import time

import numpy as np
import pytest

from accelsim.quantization.bit_policy import BitPolicy, parse_bit_policy
from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.float_session import FloatSession
from accelsim.quantization.quantize import quantize
from accelsim.workload.onnx.graph import GraphInput, Node

IMAGES, SIDE = 100, 224
# Source: Sandler et al. 2018 (MobileNetV2, arXiv 1801.04381), table 2: expansion, channels, repeats, stride.
BLOCKS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]

#: Most times the float inference, by range setter.
PROMISES = {"min_max": 3, "moving_average": 4, "percentile": 10, "kl_divergence": 10, "mse": 10}


class Network:
    """Nodes and constants while they are put together."""

    def __init__(self):
        self.nodes, self.arrays, self._random = [], {"zero": np.float32(0), "six": np.float32(6)}, np.random.default_rng(0)

    def convolve(self, source, channels_in, channels, *, kernel=1, stride=1, groups=1, has_clip=True):
        from onnx.helper import make_attribute

        name = f"conv{len(self.nodes)}"
        depth = channels_in // groups * kernel**2
        shape = (channels, channels_in // groups, kernel, kernel)
        self.arrays[f"{name}_w"] = (self._random.standard_normal(shape) * np.sqrt(2 / depth)).astype(np.float32)
        self.arrays[f"{name}_b"] = (self._random.standard_normal(channels) * 0.1).astype(np.float32)
        attributes = {"strides": [stride] * 2, "pads": [kernel // 2] * 4, "group": groups}
        self.nodes.append(Node("Conv", name, (source, f"{name}_w", f"{name}_b"), (name,),
                               {key: make_attribute(key, value) for key, value in attributes.items()}))
        return self.put("Clip", name, "zero", "six") if has_clip else name

    def put(self, op, *sources):
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(Node(op, name, sources, (name,)))
        return name


def mobilenet_v2():
    """The float network."""
    network = Network()
    tensor, channels = network.convolve("x", 3, 32, kernel=3, stride=2), 32
    for expansion, channels_out, repeats, first_stride in BLOCKS:
        for repeat in range(repeats):
            stride, wide = (first_stride if repeat == 0 else 1), expansion * channels
            inner = network.convolve(tensor, channels, wide) if expansion > 1 else tensor
            inner = network.convolve(inner, wide, wide, kernel=3, stride=stride, groups=wide)
            inner = network.convolve(inner, wide, channels_out, has_clip=False)
            tensor = network.put("Add", tensor, inner) if stride == 1 and channels == channels_out else inner
            channels = channels_out
    tensor = network.put("Flatten", network.put("GlobalAveragePool", network.convolve(tensor, channels, 1280)))
    network.arrays["fc_w"] = (np.random.default_rng(1).standard_normal((1280, 1000)) / 36).astype(np.float32)
    output = network.put("Gemm", tensor, "fc_w")
    inputs = {"x": GraphInput(("N", 3, SIDE, SIDE), 1)}
    return FloatModel("mobilenet_v2", tuple(network.nodes), network.arrays, inputs, (output,))


def seconds(run):
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


@pytest.fixture(scope="module")
def network():
    return mobilenet_v2()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).standard_normal((IMAGES, 3, SIDE, SIDE), dtype=np.float32)


@pytest.fixture(scope="module")
def inference(network, images):
    """Seconds of one pass over the images, of a process that has done nothing else yet."""
    session = FloatSession(network, network.outputs)

    def infer():
        for batch in CalibrationSet(images, network):
            session.run(batch)

    infer()
    return seconds(lambda: [infer() for _ in range(5)]) / 5


@pytest.mark.parametrize("setter", list(PROMISES))
def test_calibration_takes_so_many_times_the_float_inference(setter, network, images, inference, keeps):
    policy = parse_bit_policy(f"activations: {{range: {setter}}}", file="policy.yaml")
    beside = seconds(lambda: quantize(network, images[:1], BitPolicy()))  # what is no calibration: placement, weights
    calibration = seconds(lambda: quantize(network, images, policy)) - beside
    keeps(what=f"calibration by {setter} on {IMAGES} images of {SIDE} x {SIDE}, MobileNetV2",
          measured=f"{calibration / inference:.1f} times the float inference ({calibration:.1f} s, {inference:.1f} s)",
          promise=f"at most {PROMISES[setter]} times", holds=calibration <= PROMISES[setter] * inference)
