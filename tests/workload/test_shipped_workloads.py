"""Shipped networks against published or independently counted numbers."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from accelsim.workload import Network, import_onnx, load_network, shipped_workloads

# MACs: resnet50 is onnx's light_resnet50 (counted in test_onnx_importer); mobilenet_v2, ResNet-8 and DS-CNN were counted on
# their tflite files; the others are the sums of the papers' tables.
MACS = {
    "alexnet": 714_188_480,
    "mlperf_tiny_dscnn": 2_656_768,
    "mlperf_tiny_resnet8": 12_501_632,
    "mobilenet_v1": 568_740_352,
    "mobilenet_v2": 300_774_272,
    "resnet18": 1_814_073_344,
    "resnet50": 4_089_184_256,
    "vgg16": 15_470_264_320,
}

# Published parameter counts, and how many numbers a channel their batch normalizations have: 2 where the convolutions have
# no bias (torchvision), 4 with the moving averages (Keras), 5 with a bias in the convolution as well.
PARAMETERS = {
    # Source: torchvision model pages, num_params.
    "alexnet": (61_100_840, 1),
    "mobilenet_v2": (3_504_872, 2),
    "resnet18": (11_689_512, 2),
    "resnet50": (25_557_032, 2),
    "vgg16": (138_357_544, 1),
    "vit_b16": (86_567_656, 1),
    # Source: Keras applications, MobileNet: 4,253,864.
    "mobilenet_v1": (4_253_864, 4),
    # Source: mlcommons/tiny, Keras summary of the keyword spotting network.
    "mlperf_tiny_dscnn": (24_908, 5),
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


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count_is_the_published_one(name: str) -> None:
    published, numbers_a_channel = PARAMETERS[name]
    assert counted_parameters(load_network(name), numbers_a_channel) == published


def test_parameter_count_of_resnet8_is_that_of_its_keras_summary() -> None:
    network = load_network("mlperf_tiny_resnet8")
    weights = sum(layer.weights.elements for layer in network.layers if layer.weights is not None)
    biases = sum(layer.bias.elements for layer in network.layers if layer.bias is not None)
    normalized = sum(layer.bias.elements for layer in network.layers
                     if layer.kind == "conv" and not layer.name.endswith("skip") and layer.bias is not None)
    # Source: mlcommons/tiny, image_classification: 78,666 parameters; its shortcuts have no normalization.
    assert weights + biases + 4 * normalized == 78_666


def test_visual_wake_words_has_the_macs_of_the_papers_table_at_a_quarter_of_the_width() -> None:
    # Source: Howard et al. 2017, table 1: filters and stride of each depthwise separable pair; here 96 x 96 and two classes.
    pairs = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    size, channels = 48, 8
    macs, weights = size**2 * channels * 27, channels * 27
    for filters, stride in pairs:
        size //= stride
        weights += channels * 9 + channels * filters // 4
        macs += size**2 * (channels * 9 + channels * filters // 4)
        channels = filters // 4
    network = load_network("mlperf_tiny_mobilenet")
    assert network.macs == macs + 2 * channels
    assert network.weight_bytes == weights + 2 * channels


def test_autoencoder_uses_every_weight_once() -> None:
    network = load_network("mlperf_tiny_autoencoder")
    # Source: Banbury et al. 2021, section 4: 640 inputs, four layers of 128, a code of 8, and the same backwards.
    assert network.macs == network.weight_bytes == 2 * (640 * 128 + 3 * 128 * 128 + 128 * 8)


def test_vit_has_the_macs_that_torchvision_states() -> None:
    # Source: torchvision, ViT_B_16_Weights.IMAGENET1K_V1: 17.564 GFLOPS, counted as multiply-accumulates.
    assert round(load_network("vit_b16").macs / 1e6) == 17_564


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
