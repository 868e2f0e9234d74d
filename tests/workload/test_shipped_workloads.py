"""Shipped networks against published numbers, and against sums written out from the papers' tables.

Published means read: the comment says where. Everything else is a sum by hand, layer by layer, independent of the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest

from accelsim.workload import Network, import_onnx, load_network, shipped_workloads

# Parameters, how many numbers a channel its batch normalization has (2 where the convolutions have no bias), and millions of
# MACs. Source: `num_params` and `_ops` (GFLOPS, counted as multiply-accumulates) of the IMAGENET1K_V1 weights in
# torchvision/models/{alexnet,mobilenetv2,resnet,vgg,vision_transformer}.py; also on the models' pages at pytorch.org/vision.
TORCHVISION = {
    "alexnet": (61_100_840, 1, 714),
    "mobilenet_v2": (3_504_872, 2, 301),
    "resnet18": (11_689_512, 2, 1_814),
    "resnet50": (25_557_032, 2, 4_089),
    "vgg16": (138_357_544, 1, 15_470),
    "vit_b16": (86_567_656, 1, 17_564),
}

# Source: Howard et al. 2017, table 1: filters and stride of each depthwise separable pair of a MobileNet.
MOBILENET_PAIRS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]

# Source: Sandler et al. 2018, table 2: expansion, filters, repetitions and stride of each group of bottlenecks.
MOBILENET_V2_GROUPS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                       (6, 320, 1, 1)]


def mobilenet_v1_sums(size: int, width: int, classes: int) -> tuple[int, int]:
    """(MACs, weights) of a MobileNet at 1 / width of its filters, for images of size x size."""
    size, channels = size // 2, 32 // width
    macs, weights = size**2 * channels * 27, channels * 27
    for filters, stride in MOBILENET_PAIRS:
        size //= stride
        pair = channels * 9 + channels * filters // width
        macs, weights = macs + size**2 * pair, weights + pair
        channels = filters // width
    return macs + classes * channels, weights + classes * channels


def mobilenet_v2_macs() -> int:
    size, channels = 112, 32
    macs = size**2 * channels * 27
    for expansion, filters, repetitions, stride in MOBILENET_V2_GROUPS:
        for repetition in range(repetitions):
            hidden = channels * expansion
            macs += size**2 * channels * hidden if expansion > 1 else 0
            size //= stride if repetition == 0 else 1
            macs += size**2 * (hidden * 9 + hidden * filters)
            channels = filters
    return macs + size**2 * channels * 1280 + 1280 * 1000


def resnet50_macs(blocks: Sequence[int] = (3, 4, 6, 3)) -> int:
    """He et al. 2016, table 1, with the stride in the 3x3 convolution as torchvision has it."""
    size, channels = 56, 64
    macs = 112**2 * 64 * 3 * 49
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        for block in range(count):
            out = size // (2 if stage and not block else 1)
            macs += size**2 * channels * width + out**2 * (9 * width**2 + width * 4 * width)
            macs += 0 if block else out**2 * channels * 4 * width
            size, channels = out, 4 * width
    return macs + 2048 * 1000


# Sums by hand, layer by layer.
MACS = {
    # Source: torchvision/models/alexnet.py: 64 filters of 11x11, 192 of 5x5, then 384, 256 and 256 of 3x3; three layers.
    "alexnet": (55**2 * 64 * 3 * 121 + 27**2 * 64 * 192 * 25 + 13**2 * 9 * (192 * 384 + 384 * 256 + 256 * 256)
                + 256 * 36 * 4096 + 4096 * 4096 + 4096 * 1000),
    # Source: github.com/mlcommons/tiny, keyword_spotting: 64 filters of 10x4, four separable pairs at 25x5, 12 classes.
    "mlperf_tiny_dscnn": 125 * 64 * 40 + 4 * 125 * (64 * 9 + 64 * 64) + 64 * 12,
    # Source: github.com/mlcommons/tiny, image_classification/keras_model.py: three stacks of 16, 32 and 64 filters.
    "mlperf_tiny_resnet8": (32**2 * 9 * (3 * 16 + 2 * 16 * 16) + 16**2 * (9 * (16 * 32 + 32 * 32) + 16 * 32)
                            + 8**2 * (9 * (32 * 64 + 64 * 64) + 32 * 64) + 64 * 10),
    "mlperf_tiny_mobilenet": mobilenet_v1_sums(size=96, width=4, classes=2)[0],
    "mobilenet_v1": mobilenet_v1_sums(size=224, width=1, classes=1000)[0],
    "mobilenet_v2": mobilenet_v2_macs(),
    # Source: He et al. 2016, table 1: two blocks of two 3x3 convolutions a stage; 1x1 shortcuts where the width doubles.
    "resnet18": (112**2 * 64 * 3 * 49 + 56**2 * 9 * 4 * 64**2
                 + sum(size**2 * (9 * (half * 2 * half + 3 * (2 * half) ** 2) + half * 2 * half)
                       for size, half in [(28, 64), (14, 128), (7, 256)]) + 512 * 1000),
    "resnet50": resnet50_macs(),
    # Source: Simonyan and Zisserman 2015, table 1, column D.
    "vgg16": (9 * (224**2 * (3 * 64 + 64 * 64) + 112**2 * (64 * 128 + 128 * 128) + 56**2 * (128 * 256 + 2 * 256 * 256)
                   + 28**2 * (256 * 512 + 2 * 512 * 512) + 14**2 * 3 * 512 * 512)
              + 512 * 49 * 4096 + 4096 * 4096 + 4096 * 1000),
}


def counted_parameters(network: Network, numbers_a_channel: int) -> int:
    """Weights, biases, and the batch normalization of every layer but the last."""
    grid = [layer for layer in network.layers if layer.is_on_grid and layer.bias is not None]
    weights = sum(layer.weights.elements for layer in network.layers if layer.weights is not None)
    channels = sum(layer.bias.elements for layer in grid[:-1] if layer.bias is not None)
    assert grid[-1].bias is not None
    return weights + channels * numbers_a_channel + grid[-1].bias.elements


def test_every_shipped_workload_loads_and_is_named_like_its_file() -> None:
    for name in shipped_workloads():
        network = load_network(name)
        assert network.name == name
        assert network.unsupported == {}
    assert len(shipped_workloads()) == 14


@pytest.mark.parametrize("name", MACS)
def test_macs(name: str) -> None:
    assert load_network(name).macs == MACS[name]


@pytest.mark.parametrize("name", TORCHVISION)
def test_parameters_and_macs_are_those_that_torchvision_states(name: str) -> None:
    parameters, numbers_a_channel, millions = TORCHVISION[name]
    network = load_network(name)
    assert counted_parameters(network, numbers_a_channel) == parameters
    assert round(network.macs / 1e6) == millions


def test_mobilenet_has_the_parameters_that_keras_states() -> None:
    # Source: keras.io/api/applications, table of models (16 MB, depth 88); four numbers a channel with the moving averages.
    assert counted_parameters(load_network("mobilenet_v1"), 4) == 4_253_864


def test_tiny_networks_have_the_weights_and_biases_of_their_keras_models() -> None:
    """Sums by hand over the layers of the two files named at `MACS`, whose batch normalization is folded."""
    def numbers(name: str) -> int:
        layers = load_network(name).layers
        return sum(tensor.elements for layer in layers for tensor in (layer.weights, layer.bias) if tensor)

    assert numbers("mlperf_tiny_dscnn") == 64 * 41 + 4 * (64 * 10 + 64 * 65) + 12 * 65
    assert numbers("mlperf_tiny_resnet8") == (
        16 * 28 + 2 * 16 * 145 + 32 * (145 + 289 + 17) + 64 * (289 + 577 + 33) + 10 * 65)
    assert load_network("mlperf_tiny_mobilenet").weight_bytes == mobilenet_v1_sums(size=96, width=4, classes=2)[1]


def test_autoencoder_uses_every_weight_once() -> None:
    network = load_network("mlperf_tiny_autoencoder")
    # Source: github.com/mlcommons/tiny, anomaly_detection: 640 inputs, four layers of 128, a code of 8, and backwards.
    assert network.macs == network.weight_bytes == 2 * (640 * 128 + 3 * 128 * 128 + 128 * 8)


def test_bert_encoder_has_the_parameters_and_macs_of_its_published_sizes() -> None:
    network = load_network("bert_base")
    blocks = [layer for layer in network.layers if layer.name.rpartition("_")[2].isdigit()]
    parameters = sum(tensor.elements for layer in blocks for tensor in (layer.weights, layer.bias) if tensor)
    # Source: Devlin et al. 2019, section 3: L = 12, H = 768, 4H in between; biases and two norms a block.
    assert parameters == 12 * (4 * (768 * 768 + 768) + 2 * 4 * 768 * 768 + 5 * 768 + 2 * 2 * 768)
    # A block's products by hand: 4 projections, 2 layers of the MLP, 2 products of attention.
    sequence, width = 128, 768
    block = sequence * (4 * width * width + 2 * width * 4 * width) + 2 * sequence * sequence * width
    assert network.macs == 12 * block + width * width


@pytest.mark.parametrize(("name", "tokens", "logits"), [("decoder_prefill", 128, 1), ("decoder_decode", 1, 1)])
def test_decoder_has_the_parameters_and_macs_of_llamas_sizes(name: str, tokens: int, logits: int) -> None:
    network = load_network(name)
    tables = {"embedding", *(layer.name for layer in network.layers if layer.kind == "elementwise")}
    parameters = sum(layer.weights.elements for layer in network.layers
                     if layer.weights is not None and layer.name not in tables)
    # Source: Llama 3.2 1B, config.json: 16 blocks, width 2048, 32 heads and 8 key heads of 64, MLP of 8192, 128256 tokens.
    # The embedding's table is the logits' layer.
    matrices = 2048 * 2048 * 2 + 2 * 2048 * 512 + 3 * 2048 * 8192
    assert parameters == 16 * (matrices + 2 * 2048) + 2048 + 128_256 * 2048
    attention = 2 * tokens * 128 * 2048
    assert network.macs == 16 * (tokens * matrices + attention) + logits * 128_256 * 2048


def test_decoder_stores_keys_and_values_of_every_block() -> None:
    for name in ("decoder_prefill", "decoder_decode"):
        outputs = load_network(name, parameters={"blocks": 2}).outputs
        assert outputs == ("key_rotated_1", "value_1", "key_rotated_2", "value_2", "logits")


def test_decode_reads_a_cache_as_long_as_its_context() -> None:
    network = load_network("decoder_decode", parameters={"context": 1000, "blocks": 1})
    scores = next(layer for layer in network.layers if layer.name == "scores_1")
    assert (scores.inputs[1].name, scores.inputs[1].shape, scores.macs) == ("key_cache_1", (1, 1000, 512), 1000 * 2048)


def test_resnet50_is_the_network_of_the_onnx_model_zoo() -> None:
    zoo = import_onnx(Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_resnet50.onnx")
    own = load_network("resnet50")
    assert sorted(layer.macs for layer in zoo.layers if layer.is_on_grid) == sorted(
        layer.macs for layer in own.layers if layer.is_on_grid)
