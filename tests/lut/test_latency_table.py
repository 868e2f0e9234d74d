"""A table is read as it was written, and refused for anything that it was not made for."""

import hashlib
import io

import pandas
import pytest

from accelsim import MappingOptions, load_accelerator, load_network, with_changes
from accelsim.errors import MappingError, TableError
from accelsim.lut.assignment import assigned
from accelsim.lut.latency_table import LatencyTable
from accelsim.lut.layer_cost import LayerCost
from accelsim.lut.operand_bits import OperandBits
from accelsim.lut.table_builder import build_table
from accelsim.lut.table_header import TableHeader

HEADER = TableHeader("0.1", "net # one", "f" * 64, "chip", "e" * 64, {"objective": "latency"}, clock_hz=500_000_000)
COST = LayerCost(cycles=300, energy_pj=0.1, dram_bytes=2, weight_bytes=1, buffer_peak_bytes=8, bound="memory", macs=7,
                 effective_weight_bits=4, effective_input_bits=8, peak_macs_per_cycle=512.0)
POOL = LayerCost(cycles=20, energy_pj=1e-30, dram_bytes=2, weight_bytes=0, buffer_peak_bytes=9, bound="compute")
TABLE = LatencyTable(HEADER, ('conv "1", # first', "pool\nline"), {
    ('conv "1", # first', OperandBits(4, 8, 8, 24)): COST, ('conv "1", # first', OperandBits(2, 8, 8, 24)): COST,
    ("pool\nline", OperandBits(None, 8, 8)): POOL})
TEXT = TABLE.to_csv()


@pytest.fixture(scope="module")
def autoencoder():
    return build_table(load_network("mlperf_tiny_autoencoder"), load_accelerator("edge_16x16"), weight_bits=[4, 8],
                       input_bits=[8])


def test_a_table_is_read_as_it_was_written(tmp_path):
    TABLE.save(tmp_path / "new" / "table.csv")
    assert LatencyTable.load(tmp_path / "new" / "table.csv") == TABLE
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["table.csv"]


def test_pandas_reads_the_rows_that_people_read():
    frame = pandas.read_csv(io.StringIO(TEXT), comment="#")
    assert frame["layer"].tolist() == ['conv "1", # first', 'conv "1", # first', "pool\nline"]
    assert frame["cycles"].tolist() == [300, 300, 20]
    assert frame["microseconds"].tolist() == [0.6, 0.6, 0.04]
    assert TABLE.frame()["weight_bits"].isna().tolist() == [False, False, True]
    assert TABLE.frame()["weight_bits"].tolist()[:2] == [2, 4]


def test_the_first_lines_say_what_the_table_was_made_of():
    options = '{"objective": "latency"}'
    assert TEXT.splitlines()[:11] == [
        "# accelsim latency table: 1", "# accelsim_version: 0.1", "# network: net # one",
        "# network_fingerprint: " + "f" * 64, "# hardware: chip", "# hardware_fingerprint: " + "e" * 64, "# energy_unit: pJ",
        f"# options: {options}", f"# options_fingerprint: {hashlib.sha256(options.encode()).hexdigest()}",
        "# clock_hz: 500000000", "# accumulator_bits: 32"]


def test_the_total_of_an_assignment_adds_its_rows():
    total = TABLE.total({'conv "1", # first': OperandBits(2, 8, 8, 24), "pool\nline": OperandBits(None, 8, 8)})
    assert (total.cycles, total.dram_bytes, total.weight_bytes, total.buffer_peak_bytes, total.macs) == (320, 4, 1, 9, 7)
    assert total.microseconds(clock_hz=HEADER.clock_hz) == 0.64


@pytest.mark.parametrize(("old", "new", "message"), [
    ("# accelsim latency table: 1\n", "", 't.csv: expected a latency table, which begins with '
                                          '"# accelsim latency table: 1", got another file'),
    ("table: 1", "table: 2", 't.csv:1: expected layout 1, got "2"'),
    ("# hardware: chip\n", "", 't.csv: expected a line "# hardware: ...", got none'),
    ("# hardware: chip\n", "# hardware\n", 't.csv:5: expected a line "# key: value" of a new key, got "hardware"'),
    ("# clock_hz: 500000000", "# clock_hz: fast", 't.csv:10: clock_hz: expected a whole number of at least 0, got "fast"'),
    ("# clock_hz: 500000000", "# clock_hz: 0", "t.csv:10: clock_hz: expected at least 1, got 0"),
    ('{"objective": "latency"}', "latency", 't.csv:8: options: expected a JSON object of texts, got "latency"'),
    ('"latency"}', '"energy"}', "t.csv:9: options_fingerprint: expected that of the options above, got another one"),
    (",24,4,8,300", ",24,4,8,-1", 't.csv:13: cycles: expected a whole number of at least 0, got "-1"'),
    (",0.6,0.1,", ",0.6,nan,", 't.csv:13: energy_pj: expected a number of at least 0, got "nan"'),
    (",2,8,8,24", ",2,8,8,7", "t.csv:13: accumulator_bits: expected 8 to 64 bits, got 7"),
    (",2,8,8,24", ",2,,8,24", "t.csv:13: expected input_bits and output_bits, got an empty cell"),
    (",4,8,8,24", ",2,8,8,24", 't.csv:14: conv "1", # first: expected one row at 2/8/8/24, got two'),
    ("memory", "dram", 't.csv:13: bound: expected compute or memory, got "dram"'),
    (",512.0\n", "\n", "t.csv:13: expected 19 columns, got 18"),
])
def test_a_mistake_in_a_table_is_told_with_its_line(old, new, message):
    assert old in TEXT
    with pytest.raises(TableError) as caught:
        LatencyTable.parse(TEXT.replace(old, new, 1), file="t.csv")
    assert str(caught.value) == message


def test_a_file_that_is_no_table_is_refused(tmp_path):
    with pytest.raises(TableError, match="expected a file, found none of that name"):
        LatencyTable.load(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TableError) as caught:
        LatencyTable.load(tmp_path / "bytes.csv")
    assert str(caught.value) == f"{tmp_path / 'bytes.csv'}: expected a latency table in UTF-8, got another file"
    with pytest.raises(TableError, match="expected at least one row, got none"):
        LatencyTable.parse(TEXT[:TEXT.index('"conv')])


def test_a_table_of_another_network_is_refused_by_its_fingerprint(autoencoder):
    other = load_network("mlperf_tiny_dscnn")
    with pytest.raises(TableError) as caught:
        autoencoder.check(network=other, file="t.csv")
    assert str(caught.value).startswith(f"t.csv: expected a table made for the network {other.name} (fingerprint ")
    assert " got one made for " in str(caught.value)


def test_a_table_serves_its_network_at_any_bits(autoencoder):
    autoencoder.check(network=load_network("mlperf_tiny_autoencoder", weight_bits=2, input_bits=4),
                      accelerator=load_accelerator("edge_16x16"), options=MappingOptions())


def test_a_table_of_other_hardware_is_refused_by_its_fingerprint(autoencoder):
    chip = load_accelerator("edge_16x16")
    changed = with_changes(chip, {"dram.bandwidth": "51.2 GB/s"})
    with pytest.raises(TableError) as caught:
        autoencoder.check(accelerator=changed)
    assert str(caught.value) == (
        f"expected a table made for the accelerator edge_16x16 (fingerprint {changed.fingerprint[:12]}), got one made for "
        f"edge_16x16 (fingerprint {chip.fingerprint[:12]})")


def test_a_table_of_other_mapping_options_is_refused(autoencoder):
    with pytest.raises(TableError) as caught:
        autoencoder.check(options=MappingOptions(objective="energy"))
    assert str(caught.value) == "expected a table made with objective energy, got one made with objective latency"


def test_a_table_that_lacks_a_layer_is_refused_by_its_name(autoencoder):
    network, gone = load_network("mlperf_tiny_autoencoder"), autoencoder.layers[3]
    lines = [line for line in autoencoder.to_csv().splitlines(keepends=True) if not line.startswith(f'"{gone}"')]
    with pytest.raises(TableError) as caught:
        LatencyTable.parse("".join(lines)).check(network=network, file="t.csv")
    assert str(caught.value) == f"t.csv: expected the layers of {network.name} in their order, got none called {gone}"


@pytest.mark.parametrize(("assignment", "message"), [
    ({"fc9": OperandBits(8, 8, 8)}, "fc9: the table of"),
    ({}, "expected bits for every layer of"),
])
def test_an_assignment_that_is_not_the_networks_is_refused(autoencoder, assignment, message):
    with pytest.raises(TableError, match=message):
        autoencoder.total(assignment)


def test_a_row_that_is_not_there_is_told_with_those_that_are(autoencoder):
    layer = autoencoder.layers[0]
    with pytest.raises(TableError) as caught:
        autoencoder.cost(layer, OperandBits(3, 8, 8))
    assert str(caught.value) == (f"{layer}: the table of {autoencoder.header.network} has no row at 3/8/8; its 2 rows of "
                                 "this layer reach from 4/8/8 to 8/8/8")


def test_the_accelerators_own_accumulators_have_the_row_that_states_none(autoencoder):
    layer, own = autoencoder.layers[0], load_accelerator("edge_16x16").accumulators.bits
    assert autoencoder.cost(layer, OperandBits(8, 8, 8, own)) == autoencoder.cost(layer, OperandBits(8, 8, 8))
    with pytest.raises(TableError, match="has no row at 8/8/8/16"):
        autoencoder.cost(layer, OperandBits(8, 8, 8, 16))


@pytest.mark.parametrize(("given", "message"), [
    ({"weight_bits": []}, "weight_bits: expected at least one width, got none"),
    ({"weight_bits": [0]}, "weight_bits: expected 1 to 64 bits, got 0"),
    ({"accumulator_bits": [70]}, "accumulator_bits: expected 8 to 64 bits, got 70"),
    ({"options": MappingOptions(keeps_activations=True)},
     "expected residency and prefetch off, since with them a layer's cost depends on its neighbours"),
    ({"workers": 0}, "workers: expected at least 1 worker, got 0"),
])
def test_widths_and_options_that_make_no_table_are_refused(given, message):
    with pytest.raises(TableError) as caught:
        build_table(load_network("mlperf_tiny_autoencoder"), load_accelerator("edge_16x16"),
                    **{"weight_bits": [8], "input_bits": [8]} | given)
    assert str(caught.value) == message


def test_operands_that_no_pe_takes_are_refused_before_anything_runs():
    with pytest.raises(MappingError) as caught:
        build_table(load_network("mlperf_tiny_autoencoder"), load_accelerator("edge_16x16"), weight_bits=[8, 16],
                    input_bits=[8], workers=None)
    assert str(caught.value).endswith("expected operands of at most 8-bit weights and 8-bit inputs on edge_16x16, "
                                      "got 16 and 8")


def test_two_widths_of_one_tensor_are_refused():
    network = load_network("mlperf_tiny_autoencoder")
    first, second = network.layers[:2]
    bits = {layer.name: OperandBits(8, 8, 8) for layer in network.layers} | {first.name: OperandBits(8, 8, 4)}
    with pytest.raises(TableError) as caught:
        assigned(network, bits)
    assert str(caught.value) == (f"{second.name}: expected one width for {first.output.name}, got 8 bits here and 4 in "
                                 f"{first.name}")
