"""Edits of whole networks: what they compute stays, and ranges become what the step promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float_networks import convolution, mobile, normalization
from quantized_models import FloatModel as Network
from quantized_models import Weights, convolutional, node, transformer

from accelsim.errors import NumericsError, WorkloadError
from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.equalization.cross_layer import input_ranges, output_ranges
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placing import place
from accelsim.quantization.preparation.absorbed_biases import absorb_biases
from accelsim.quantization.preparation.batch_norm_folding import fold_batch_norms
from accelsim.quantization.preparation.channel_extremes import channel_extremes
from accelsim.quantization.preparation.edited import Edited
from accelsim.quantization.preparation.equalized_layers import equalize_layers, has_depthwise
from accelsim.quantization.preparation.layer_links import layer_chains, layer_links
from accelsim.quantization.preparation.migrated_scales import migrate_scales
from accelsim.quantization.preparation.split_channels import split_channels


def separable(seed: int = 0, *, limit: float = 6.0) -> Network:
    """Two inverted residual blocks with clips, pools and a pad between convolutions, a head of two products."""
    w = Weights(seed)
    for name, value in (("low", 0.0), ("limit", limit)):
        w.keep(name, np.array(value, np.float32))
    w.keep("border", np.array([0, 0, 1, 1, 0, 0, 1, 1]))

    def unit(source: str, output: str, *shape: int, clip: bool = True, **attributes: Any) -> list[Any]:
        found = [convolution(w, source, output, *shape, has_bias=False, **attributes),
                 normalization(w, output, f"{output}_n", shape[0], seed)]
        return [*found, node("Clip", [f"{output}_n", "low", "limit"], [f"{output}_c"])] if clip else found

    nodes = [
        *unit("x", "stem", 8, 3, 3, 3, pads=[1] * 4),
        *unit("stem_c", "wide", 16, 8, 1, 1), *unit("wide_c", "deep", 16, 1, 3, 3, group=16, pads=[1] * 4),
        *unit("deep_c", "narrow", 8, 16, 1, 1, clip=False), node("Add", ["narrow_n", "stem_c"], ["sum"], name="sum"),
        convolution(w, "sum", "first", 12, 8, 3, 3), node("Relu", ["first"], ["first_r"]),
        node("MaxPool", ["first_r"], ["pooled"], name="pooled", kernel_shape=[2, 2], strides=[2, 2]),
        node("Pad", ["pooled", "border"], ["padded"], name="padded"),
        convolution(w, "padded", "grouped", 12, 6, 3, 3, group=2), node("Relu", ["grouped"], ["grouped_r"]),
        convolution(w, "grouped_r", "last", 10, 12, 1, 1), node("Relu", ["last"], ["last_r"]),
        node("GlobalAveragePool", ["last_r"], ["mean"], name="mean"), node("Flatten", ["mean"], ["flat"], name="flat"),
        node("Gemm", ["flat", w.add("fc_w", 7, 10), w.add("fc_b", 7, scale=0.1)], ["hidden"], name="fc", transB=1),
        node("Relu", ["hidden"], ["hidden_r"]),
        node("MatMul", ["hidden_r", w.add("out_w", 7, 5)], ["out"], name="out_product"),
        node("Add", ["out", w.add("out_b", 5, scale=0.1)], ["y"], name="out_bias")]
    return Network(nodes, (1, 3, 12, 12), w.constants)


NETWORKS = {"separable": separable, "convolutional": convolutional, "transformer": transformer, "mobile": mobile}


def loaded(network: Network, folder: Path, samples: int = 4) -> tuple[FloatModel, CalibrationSet, list[Any]]:
    """A folded network, its calibration set, and the samples of that."""
    network.save(folder / "net.onnx")
    model = fold_batch_norms(FloatModel.load(folder / "net.onnx")).model
    inputs = network.samples(samples)
    return model, CalibrationSet(np.stack(inputs), model), inputs


def require_same_function(edited: Edited, model: FloatModel, inputs: list[Any], tolerance: float = 2e-5) -> None:
    for x in inputs:
        expected, found = (each.run({"x": x})["y"] for each in (model, edited.model))
        assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
    place(edited.model)  # the machine still has all its layers
    assert [layer.name for layer in edited.model.layers] == [layer.name for layer in model.layers]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NETWORKS)
def test_what_a_network_computes_stays(name: str, seed: int, tmp_path: Path) -> None:
    model, data, inputs = loaded(NETWORKS[name](seed), tmp_path)
    for edited in (equalize_layers(model, data), absorb_biases(model, data), split_channels(model, ratio=0.3),
                   split_channels(model, ratio=0.3, bits=4), split_channels(model, data, ratio=0.3, outliers="inputs"),
                   migrate_scales(model, data),
                   absorb_biases(equalize_layers(model, data).model, data)):
        require_same_function(edited, model, inputs)


def test_links_end_where_a_tensor_has_two_readers_or_numbers_that_are_no_channels(tmp_path: Path) -> None:
    model, _, _ = loaded(separable(), tmp_path)
    found = [[(link.first.name, link.second.name, link.is_padded) for link in chain]
             for chain in layer_chains(layer_links(model))]
    # stem is read by the block and by its shortcut; narrow is added.
    assert found == [[("wide", "deep", True), ("deep", "narrow", False)], [("first", "grouped", True)],
                     [("grouped", "last", False)], [("last", "fc", False)], [("fc", "out_product", False)]]
    assert [node.op for node in layer_links(model)[2].between] == ["MaxPool", "Pad"]
    model, _, _ = loaded(convolutional(), tmp_path)
    assert [(link.first.name, link.second.name) for link in layer_links(model)] == [("deep", "point"), ("last", "fc")]


def test_equalized_layers_share_their_ranges(tmp_path: Path) -> None:
    model, data, _ = loaded(separable(limit=1e9), tmp_path)
    edited, remarks = equalize_layers(model, data)
    layers = {layer.name: layer for layer in edited.layers}
    for link in layer_links(edited):
        before, behind = output_ranges(link.first.weights), input_ranges(link.second.weights, link.channels)
        assert np.allclose(before, behind, rtol=0.05), link.first.name
    three = [output_ranges(layers["wide"].weights), output_ranges(layers["deep"].weights),
             input_ranges(layers["narrow"].weights, 16)]
    assert np.allclose(three, three[0], rtol=0.05)
    assert len(remarks) == 5
    assert remarks[0].startswith("wide -> deep -> narrow: channels equalized by factors of 0.")


def test_a_clip_stays_what_it_is_and_channels_that_reach_it_keep_their_scale(tmp_path: Path) -> None:
    model, data, inputs = loaded(separable(limit=1.5), tmp_path)
    edited = equalize_layers(model, data)
    require_same_function(edited, model, inputs)
    high = channel_extremes(model, {"wide": 1}, data)["wide"].high
    old, new = (output_ranges(each.layer("wide").weights) for each in (model, edited.model))
    assert np.any(high > 1.5)
    assert np.array_equal(old[high > 1.5], new[high > 1.5])
    assert np.any(old[high < 1.5] != new[high < 1.5])
    assert np.all(edited.model.layer("wide").clip.high == 1.5)


def test_without_data_batch_normalizations_tell_how_far_a_clip_is_reached(tmp_path: Path) -> None:
    model, _, _ = loaded(separable(limit=1.5), tmp_path)
    known = model.statistics["wide"]
    reach = known.mean + 6 * known.std
    edited = equalize_layers(model).model
    old, new = (output_ranges(each.layer("wide").weights) for each in (model, edited))
    assert np.array_equal(old[reach > 1.5], new[reach > 1.5])
    factors = old / new
    assert np.allclose(edited.statistics["wide"].mean, known.mean / factors, rtol=1e-5)
    assert np.allclose(edited.statistics["wide"].std, known.std / factors, rtol=1e-5)


def test_a_clip_of_which_nothing_is_known_is_not_moved_past(tmp_path: Path) -> None:
    model, _, _ = loaded(separable(), tmp_path)
    bare = FloatModel(model.name, model.nodes, model.arrays, model.inputs, model.outputs, model.opset)
    edited, remarks = equalize_layers(bare)
    assert remarks[-2:] == tuple(f"{names}: not equalized, as nothing tells how far its inputs reach the Clip between them"
                                 for names in ("wide -> deep", "deep -> narrow"))
    assert np.array_equal(edited.layer("wide").weights, bare.layer("wide").weights)


def test_only_wanted_chains_are_equalized(tmp_path: Path) -> None:
    model, data, _ = loaded(separable(), tmp_path)
    edited, remarks = equalize_layers(model, data, wanted=has_depthwise)
    assert len(remarks) == 1
    assert np.array_equal(edited.layer("first").weights, model.layer("first").weights)


def test_absorbed_channels_come_down_to_0(tmp_path: Path) -> None:
    network = separable()
    bias = network.constants["grouped_bias"]
    bias += np.where(np.arange(12) % 2, 40, 0).astype(np.float32)
    model, data, inputs = loaded(network, tmp_path)
    edited = absorb_biases(model, data)
    require_same_function(edited, model, inputs, tolerance=1e-4)
    low = channel_extremes(edited.model, {"grouped": 1}, data)["grouped"].low
    assert np.allclose(low[1::2], 0, atol=1e-3)
    assert edited.remarks[0].startswith("grouped -> last: bias of 6 channels absorbed, ")
    # first is followed by a padded layer, whose border would see it.
    assert not any(remark.startswith("first ->") for remark in edited.remarks)


def test_statistics_stand_in_for_data_when_biases_are_absorbed(tmp_path: Path) -> None:
    network = separable(limit=1e9)
    network.constants["deep_n_b"] += 30
    model, _, _ = loaded(network, tmp_path)
    known = model.statistics["deep"]
    edited, remarks = absorb_biases(model)
    amounts = model.layer("deep").bias - edited.layer("deep").bias
    assert np.allclose(amounts, known.mean - 3 * known.std, rtol=1e-5)
    assert np.allclose(edited.statistics["deep"].mean, known.mean - amounts, rtol=1e-5)
    assert remarks == (f"deep -> narrow: bias of 16 channels absorbed, {amounts.max():.3g} at most",)


def test_split_channels_shrink_the_range_that_they_are_split_for(tmp_path: Path) -> None:
    network = separable()
    network.constants["last_w"][:, 3] *= 8
    model, data, _ = loaded(network, tmp_path)
    old = np.abs(model.layer("last").weights).max()
    # grouped cannot be split before last: it has groups. So last's outputs are, towards fc.
    edited, remarks = split_channels(model, ratio=0.1)
    assert remarks == ("last -> fc: 1 channels split", "fc -> out_product: 1 channels split")
    assert edited.layer("last").weights.shape == (1, 11, 12)
    assert edited.layer("fc").weights.shape == (1, 8, 11)
    assert np.abs(edited.layer("last").weights).max() == old
    before, behind = (np.abs(each.layer("fc").weights).max() for each in (model, edited))
    assert behind < before
    inputs = channel_extremes(split_channels(model, data, ratio=0.1, outliers="inputs").model, {"last_r": 1}, data)
    assert inputs["last_r"].largest.max() < channel_extremes(model, {"last_r": 1}, data)["last_r"].largest.max()
    with pytest.raises(NumericsError, match="expected a ratio of at least 0, got -1"):
        split_channels(model, ratio=-1)
    with pytest.raises(WorkloadError, match="expected a calibration set, which shows the outliers of inputs, got none"):
        split_channels(model, ratio=0.1, outliers="inputs")


def test_migrated_scales_balance_outlying_channels(tmp_path: Path) -> None:
    network = transformer()
    network.constants["gamma"][[2, 9]] *= 50
    model, data, inputs = loaded(network, tmp_path)
    edited = migrate_scales(model, data)
    require_same_function(edited, model, inputs)
    before, behind = (channel_extremes(each, {"normal": -1}, data)["normal"].largest for each in (model, edited.model))
    weights = input_ranges(edited.model.layer("up_product").weights, 16)
    assert np.allclose(behind, weights, rtol=1e-4)  # alpha 1/2: the channel's largest is the same in both
    assert before.max() / np.median(before) > 20 > 8 > behind.max() / np.median(behind)
    assert len(edited.remarks) == 1
    assert edited.remarks[0].startswith("normal -> up_product: scales migrated by factors of ")


def test_a_normalization_that_is_added_as_well_keeps_its_scales(tmp_path: Path) -> None:
    network = transformer()
    nodes = [each for each in network.nodes if each.name != "y"]
    nodes[-1].output[0] = "y_sum"
    nodes += [node("Add", ["y_sum", "normal"], ["y"], name="shortcut")]
    model, data, _ = loaded(Network(nodes, network.shape, network.constants), tmp_path)
    edited, remarks = migrate_scales(model, data)
    assert remarks == ("normal: scales not migrated, as other operators than matrix products read it",)
    assert all(np.array_equal(edited.arrays[name], model.arrays[name]) for name in model.arrays)
