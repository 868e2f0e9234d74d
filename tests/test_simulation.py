"""The whole flow, on shipped networks and presets."""

import pytest

from accelsim import MappingOptions, Network, load_accelerator, load_network, plan, preset_names, simulate, with_changes
from accelsim.errors import AccelsimError

EDGE = load_accelerator("edge_16x16")
RESNET8 = load_network("mlperf_tiny_resnet8")
BOTH = MappingOptions(keeps_activations=True, prefetches_weights=True)


def test_a_network_takes_the_sum_of_its_layers_when_nothing_stays_between_them():
    whole = simulate(EDGE, RESNET8)
    alone = [simulate(EDGE, Network(layer.name, (layer,))).layers[0] for layer in RESNET8.layers]
    assert [layer.total_cycles for layer in whole.layers] == [layer.total_cycles for layer in alone]
    assert [layer.energy_pj for layer in whole.layers] == [layer.energy_pj for layer in alone]
    assert whole.total_cycles == sum(layer.total_cycles for layer in alone)


def test_layer_intervals_partition_the_run():
    for options in (MappingOptions(), BOTH):
        result = simulate(EDGE, RESNET8, options=options)
        edges = [0] + [layer.end_cycle for layer in result.layers]
        assert [layer.start_cycle for layer in result.layers] == edges[:-1]
        assert result.total_cycles == edges[-1]


def test_activations_kept_on_chip_move_fewer_bytes_and_the_rest_is_the_same_work():
    plain = simulate(EDGE, RESNET8)
    kept = simulate(EDGE, RESNET8, options=MappingOptions(keeps_activations=True))
    assert kept.dram_bytes < plain.dram_bytes
    assert kept.total_cycles < plain.total_cycles
    assert kept.macs == plain.macs == RESNET8.macs
    # Only the image comes in and only the last tensor goes out; the weights come in once.
    assert sum(layer.counts.dram_write_bytes.get("outputs", 0) for layer in kept.layers) == RESNET8.layers[-1].output.bytes


def test_prefetched_weights_move_the_same_bytes_in_no_more_time():
    plain = simulate(EDGE, RESNET8)
    early = simulate(EDGE, RESNET8, options=MappingOptions(prefetches_weights=True))
    assert early.dram_bytes == plain.dram_bytes
    assert early.total_cycles < plain.total_cycles
    assert early.stall_cycles["weights"] < plain.stall_cycles["weights"]


def test_every_byte_of_a_network_that_fits_on_chip_is_loaded_and_stored_once():
    large = with_changes(EDGE, {"memory.buffers.scratchpad.capacity": "64 MiB", "accumulators.entries": 1048576})
    for layer in simulate(large, RESNET8, options=MappingOptions(objective="energy")).layers:
        source = next(own for own in RESNET8.layers if own.name == layer.name)
        constants = sum(tensor.bytes for tensor in (source.weights, source.bias) if tensor is not None)
        assert layer.counts.dram_read_bytes.get("weights", 0) == constants
        assert layer.counts.dram_read_bytes["inputs"] <= sum(tensor.bytes for tensor in source.inputs)
        assert layer.counts.dram_write_bytes["outputs"] == source.output.bytes


def test_equal_inputs_give_equal_results_and_fingerprints():
    first, second = simulate(EDGE, RESNET8), simulate(load_accelerator("edge_16x16"), load_network("mlperf_tiny_resnet8"))
    assert first.to_dict() == second.to_dict()
    assert first.to_dict() != simulate(EDGE, RESNET8, options=BOTH).to_dict()


def test_narrower_weights_move_fewer_bytes():
    wide, narrow = (simulate(EDGE, load_network("mlperf_tiny_resnet8", weight_bits=bits)) for bits in (8, 4))
    loaded = [sum(layer.counts.dram_read_bytes.get("weights", 0) for layer in result.layers if layer.unit == "pe_grid")
              for result in (wide, narrow)]
    biases = sum(layer.bias.bytes for layer in RESNET8.layers if layer.bias is not None)
    assert loaded[1] - biases <= 0.51 * (loaded[0] - biases)


def test_a_program_can_be_printed():
    text = str(plan(EDGE, RESNET8))
    for word in ("load weights", "load inputs", "compute", "requantize block", "store", "vector", "region outputs"):
        assert word in text
    assert text.count("layer ") == len(RESNET8.layers)


def test_progress_is_told_after_each_mapping_and_each_run():
    told = []
    simulate(EDGE, RESNET8, progress=lambda done, count, name: told.append((done, count, name)))
    twice = [layer.name for layer in RESNET8.layers] * 2
    assert told == [(i + 1, len(twice), name) for i, name in enumerate(twice)]


def test_the_frame_has_a_row_per_layer_whose_cycles_add_up():
    frame = simulate(EDGE, RESNET8).to_frame()
    stalls = frame.filter(regex="^stall_").sum(axis=1)
    assert (frame["compute_cycles"] + stalls == frame["total_cycles"]).all()
    assert frame["layer"].tolist() == [layer.name for layer in RESNET8.layers]


TINY = ["mlperf_tiny_resnet8", "mlperf_tiny_dscnn", "mlperf_tiny_mobilenet", "mlperf_tiny_autoencoder"]


def network_that_fits(name, accelerator):
    """A shipped network with operands of 8 bits; on an accelerator of narrower ones, with those that it has."""
    precision = accelerator.pe_grid.precision
    if precision.executed_bits(weight_bits=8, input_bits=8) is not None:
        return load_network(name)
    weight_bits, input_bits = precision.native_bits
    return load_network(name, weight_bits=weight_bits, input_bits=input_bits)


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("network", TINY)
def test_every_tiny_network_runs_on_every_preset_at_widths_that_it_has(preset, network):
    accelerator = load_accelerator(preset)
    work = network_that_fits(network, accelerator)
    for options in (MappingOptions(), BOTH):
        result = simulate(accelerator, work, options=options)
        assert result.macs == work.macs
        assert 0 < result.utilization <= 1


@pytest.mark.slow
@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("network", ["resnet50", "mobilenet_v2", "bert_base"])
def test_every_large_network_runs_on_every_preset_at_widths_that_it_has(preset, network):
    accelerator = load_accelerator(preset)
    work = network_that_fits(network, accelerator)
    result = simulate(accelerator, work)
    assert result.macs == work.macs
    assert 0 < result.utilization <= 1


def test_a_binary_accelerator_refuses_bytes_in_one_line():
    with pytest.raises(AccelsimError) as caught:
        simulate(load_accelerator("xnor_like"), RESNET8)
    assert str(caught.value) == (f"{RESNET8.layers[0].name}: expected operands of at most 1-bit weights and 1-bit inputs on "
                                 "xnor_like, got 8 and 8")


def test_a_layer_that_fits_nowhere_is_told_in_one_line():
    tiny = with_changes(EDGE, {"memory.buffers.scratchpad.capacity": "5 B"})
    with pytest.raises(AccelsimError) as caught:
        simulate(tiny, RESNET8)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{RESNET8.layers[0].name}: ")
