"""Tables for the code of HAQ and HAWQ, and theirs for ours."""

import json

import numpy as np
import pytest

from accelsim import load_accelerator, load_network
from accelsim.errors import TableError
from accelsim.lut.haq_table import load_haq_table, save_haq_table
from accelsim.lut.hawq_latencies import load_hawq_latencies, save_hawq_latencies
from accelsim.lut.operand_bits import OperandBits
from accelsim.lut.table_builder import build_table


@pytest.fixture(scope="module")
def network():
    return load_network("mlperf_tiny_resnet8")


@pytest.fixture(scope="module")
def grid_names(network):
    return [layer.name for layer in network.layers if layer.macs]


@pytest.fixture(scope="module")
def table(network):
    return build_table(network, load_accelerator("edge_16x16"), weight_bits=[2, 8], input_bits=[4, 8])


def test_haqs_code_finds_every_layers_milliseconds_at_its_bits(network, grid_names, table, tmp_path):
    save_haq_table(table, network, tmp_path / "table.npy")
    array = np.load(tmp_path / "table.npy")
    assert array.shape == (len(grid_names), 8, 8)
    for place, name in enumerate(grid_names):
        for weight, given in [(2, 4), (2, 8), (8, 4), (8, 8)]:
            cycles = table.cost(name, OperandBits(weight, given, 8)).cycles
            assert array[place, weight - 1, given - 1] == pytest.approx(cycles / 800e6 * 1e3, rel=1e-12)
        assert array[place, 0, 2] == array[place, 1, 3], "3-bit inputs are stored at the 4 bits of the table"
        assert array[place, 2, 4] == array[place, 7, 7]


def test_a_table_of_haq_gives_back_its_milliseconds(network, grid_names, tmp_path):
    times = np.random.default_rng(3).integers(1, 10**9, (len(grid_names), 8, 8)) / 1e9
    times[0, 0, :] = np.nan
    np.save(tmp_path / "theirs.npy", times)
    found = load_haq_table(tmp_path / "theirs.npy", network)
    assert found.layers == tuple(layer.name for layer in network.layers)
    assert found.header.hardware == "theirs.npy"
    for place, name in enumerate(grid_names):
        for weight in range(1, 9):
            for given in range(1, 9):
                bits = OperandBits(weight, given, 5)
                if place == 0 and weight == 1:
                    assert bits not in found.choices(name)
                    continue
                assert found.cost(name, bits).cycles == round(times[place, weight - 1, given - 1] * 1e9)
    save_haq_table(found, network, tmp_path / "again.npy")
    assert np.nanmax(abs(np.load(tmp_path / "again.npy")[1:] - times[1:])) < 1e-12


def test_hawqs_lists_hold_the_layers_between_the_first_and_the_last(network, grid_names, table, tmp_path):
    save_hawq_latencies(table, network, tmp_path / "latencies.json")
    document = json.loads((tmp_path / "latencies.json").read_text())
    assert document["layers"] == grid_names[1:-1]
    assert set(document) == {"layers", "latency_int8"}, "8 is the only width that weights and inputs share"
    assert document["latency_int8"] == pytest.approx(
        [table.cost(name, OperandBits(8, 8, 8)).cycles / 800e6 * 1e3 for name in grid_names[1:-1]], rel=1e-12)
    found = load_hawq_latencies(tmp_path / "latencies.json", network)
    assert found.cost(grid_names[1], OperandBits(8, 8, 8)).microseconds(clock_hz=10**12) == pytest.approx(
        table.cost(grid_names[1], OperandBits(8, 8, 8)).microseconds(clock_hz=800_000_000))


@pytest.mark.parametrize("form", ["list", "names", "dictionary", "every layer"])
def test_hawqs_measured_times_are_read_in_every_form(network, grid_names, tmp_path, form):
    inner = grid_names[1:-1]
    int4, int8 = [0.21 + i / 100 for i in range(len(inner))], [0.36 + i / 100 for i in range(len(inner))]
    document = {"latency_int4": int4, "latency_int8": int8}
    if form == "names":
        document["layers"] = inner
    elif form == "dictionary":
        document = {key: dict(zip(inner, times, strict=True)) for key, times in document.items()}
    elif form == "every layer":
        document = {key: [1.0, *times, 2.0] for key, times in document.items()}
    (tmp_path / "t4.json").write_text(json.dumps(document), encoding="utf-8")
    found = load_hawq_latencies(tmp_path / "t4.json", network, hardware="T4")
    assert found.header.hardware == "T4"
    for place, name in enumerate(inner):
        assert found.cost(name, OperandBits(4, 4, 8)).cycles == round(int4[place] * 1e9)
        assert found.cost(name, OperandBits(8, 8, 4)).cycles == round(int8[place] * 1e9)
    first = found.cost(grid_names[0], OperandBits(8, 8, 8)).cycles
    assert first == (10**9 if form == "every layer" else 0)


def test_a_table_of_times_alone_fits_no_description_of_hardware(network, grid_names, tmp_path):
    np.save(tmp_path / "theirs.npy", np.ones((len(grid_names), 8, 8)))
    with pytest.raises(TableError) as caught:
        load_haq_table(tmp_path / "theirs.npy", network).check(network=network, accelerator=load_accelerator("edge_16x16"))
    assert str(caught.value) == ("expected a table made for the accelerator edge_16x16, got one that does not say what it "
                                 "was made for")


@pytest.mark.parametrize(("array", "message"), [
    (np.ones((3, 8, 8)), "expected an array [layer, weight bits, activation bits] of the 10 layers with weights of "
                         "mlperf_tiny_resnet8, got the shape [3, 8, 8]"),
    (np.ones(4), "expected an array [layer, weight bits, activation bits] of the 10 layers with weights of "
                 "mlperf_tiny_resnet8, got the shape [4]"),
    (np.array(["a"]), "expected an .npy file of numbers, got another file or a damaged one"),
])
def test_arrays_that_are_no_table_of_this_network_are_refused(network, tmp_path, array, message):
    path = tmp_path / "theirs.npy"
    np.save(path, array)
    with pytest.raises(TableError) as caught:
        load_haq_table(path, network)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize(("text", "message"), [
    ("[", "expected a JSON file with latency_int4 and the like, got another file"),
    ("{}", "expected a JSON file with latency_int4 and the like, got another file"),
    ('{"latency_int4": [1, 2]}', "latency_int4: expected 8 times, got 2"),
    ('{"latency_int4": 3}', "latency_int4: expected a list of milliseconds, or a dictionary by the layer's name"),
])
def test_files_that_hold_no_latencies_of_this_network_are_refused(network, tmp_path, text, message):
    path = tmp_path / "t4.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TableError) as caught:
        load_hawq_latencies(path, network)
    assert str(caught.value) == f"{path}: {message}"


def test_times_of_no_layer_and_times_below_zero_are_refused(network, grid_names, tmp_path):
    path = tmp_path / "t4.json"
    path.write_text(json.dumps({"latency_int4": {grid_names[0] + "x": 1.0}}), encoding="utf-8")
    with pytest.raises(TableError) as caught:
        load_hawq_latencies(path, network)
    assert str(caught.value) == (f'{grid_names[0]}x: no such layer on the grid in mlperf_tiny_resnet8 (did you mean '
                                 f'"{grid_names[0]}"?)')
    path.write_text(json.dumps({"latency_int4": {grid_names[0]: -1.0}}), encoding="utf-8")
    with pytest.raises(TableError) as caught:
        load_hawq_latencies(path, network)
    assert str(caught.value) == f"{grid_names[0]}: expected a time of at least 0 ms, got -1.0"
