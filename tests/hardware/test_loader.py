"""What the loader accepts, and the one line with which it refuses everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.errors import HardwareError
from accelsim.hardware import load_accelerator, load_energy_table, parse_accelerator, preset_path
from accelsim.numerics.register import Register
from accelsim.numerics.rule import Rule

#: A small description; the tests change one line of it. Line numbers are written in the tests.
VALID = """\
schema_version: 1
name: toy
clock: 1 GHz
pe_grid:
  rows: 4
  columns: 2
  dataflow: weight_stationary
  precision: {kind: fixed, weight_bits: 8, input_bits: 8}
accumulators:
  bits: 32
  entries: 64
requantizer: {lanes: 2}
vector_unit: {lanes: 2}
memory:
  buffers:
    scratchpad:
      capacity: 8 KiB
      holds: [weights, inputs, outputs]
      bytes_per_cycle: 8
dma: {}
dram:
  bandwidth: 25.6 GB/s
energy: horowitz_45nm
"""

TABLES = "eyeriss_relative, horowitz_45nm, jouppi_7nm"


def refusal(text: str) -> str:
    with pytest.raises(HardwareError) as caught:
        parse_accelerator(text, file="npu.yaml")
    return str(caught.value)


def changed(old: str, new: str) -> str:
    assert VALID.count(old) == 1
    return VALID.replace(old, new)


def test_valid_description_is_read() -> None:
    accelerator = parse_accelerator(VALID, file="npu.yaml")
    assert accelerator.clock_hz == 10**9
    assert (accelerator.pe_grid.rows, accelerator.pe_grid.columns) == (4, 2)
    assert accelerator.dram.bandwidth_bytes_per_second == 25_600_000_000
    assert accelerator.memory.buffers["scratchpad"].capacity_bytes == 8192
    assert accelerator.energy == load_energy_table("horowitz_45nm")


@pytest.mark.parametrize(("old", "new", "message"), [
    ("rows: 4", "rwos: 4",
     'npu.yaml:5: pe_grid.rwos: expected a known key, got "rwos" (did you mean "rows"?)'),
    ("dma: {}", "zzz: 1",
     'npu.yaml:1: dma: expected this key, which is missing'),
    ("dma: {}", "dma: {zzz: 1}",
     'npu.yaml:20: dma.zzz: expected one of queues, burst, issue_cycles, arbitration, got "zzz"'),
    ("  rows: 4\n", "",
     "npu.yaml:4: pe_grid.rows: expected this key, which is missing"),
    ("  columns: 2", "  columns: 2\n  rows: 8",
     "npu.yaml:7: pe_grid.rows: expected this key once, got it again (first in line 5)"),
    ("rows: 4", "rows: 0", "npu.yaml:5: pe_grid.rows: expected at least 1, got 0"),
    ("rows: 4", "rows: -3", "npu.yaml:5: pe_grid.rows: expected at least 1, got -3"),
    ("rows: 4", "rows: 4.0", "npu.yaml:5: pe_grid.rows: expected a whole number, got 4.0"),
    ("rows: 4", 'rows: "4"', 'npu.yaml:5: pe_grid.rows: expected a whole number, got "4"'),
    ("rows: 4", "rows: true", "npu.yaml:5: pe_grid.rows: expected a whole number, got true"),
    ("rows: 4", "rows:", "npu.yaml:5: pe_grid.rows: expected a whole number, got nothing"),
    ("rows: 4", "rows: .nan", "npu.yaml:5: pe_grid.rows: expected a whole number, got nan"),
    ("rows: 4", "rows: -.INF", "npu.yaml:5: pe_grid.rows: expected a whole number, got -inf"),
    ("rows: 4", "rows: [4]", "npu.yaml:5: pe_grid.rows: expected a whole number, got a list"),
    ("bits: 32", "bits: 128", "npu.yaml:10: accumulators.bits: expected at most 64, got 128"),
    ("bits: 32", "bits: 2", "npu.yaml:10: accumulators.bits: expected at least 8, got 2"),
    ("25.6 GB/s", "25.6 GB",
     'npu.yaml:22: dram.bandwidth: expected a bandwidth such as "25.6 GB/s", got "25.6 GB"'),
    ("25.6 GB/s", "0 GB/s", 'npu.yaml:22: dram.bandwidth: expected more than 0, got "0 GB/s"'),
    ("8 KiB", "-8 KiB",
     'npu.yaml:17: memory.buffers.scratchpad.capacity: expected a size such as "512 KiB", got "-8 KiB"'),
    ("8 KiB", "8192",
     'npu.yaml:17: memory.buffers.scratchpad.capacity: expected a size such as "512 KiB", got 8192'),
    ("8 KiB", "0.3 B",
     'npu.yaml:17: memory.buffers.scratchpad.capacity: expected a whole number of bytes, got "0.3 B"'),
    ("1 GHz", "fast", 'npu.yaml:3: clock: expected a frequency such as "800 MHz", got "fast"'),
    ("weight_stationary", "wieght_stationary",
     "npu.yaml:7: pe_grid.dataflow: expected one of weight_stationary, output_stationary, input_stationary, "
     'dot_product, got "wieght_stationary" (did you mean "weight_stationary"?)'),
    ("kind: fixed", "kind: magic",
     "npu.yaml:8: pe_grid.precision.kind: expected one of fixed, subword, bit_fusion, bit_serial, binary, ternary, "
     'shift_add, codebook, float, got "magic"'),
    ("weight_bits: 8", "weight_bits: 33",
     "npu.yaml:8: pe_grid.precision.weight_bits: expected at most 32, got 33"),
    ("schema_version: 1", "schema_version: 2",
     "npu.yaml:1: schema_version: expected 1, the version of this format that accelsim reads, got 2"),
    ("schema_version: 1", "schema_version: true",
     "npu.yaml:1: schema_version: expected 1, the version of this format that accelsim reads, got true"),
    ("name: toy", 'name: ""', 'npu.yaml:2: name: expected text, got ""'),
    ("name: toy", "name: 2020-01-01\ndescription: 5", "npu.yaml:3: description: expected text, got 5"),
    ("dma: {}", "dma: 3", "npu.yaml:20: dma: expected a mapping, got 3"),
    ("dma: {}", "1: {}\ndma: {}", 'npu.yaml:20: expected text as a key, got "1"'),
    ("dma: {}", "dma: !fast {}", 'npu.yaml:20: dma: expected plain YAML, got the tag "!fast"'),
    ("[weights, inputs, outputs]", "[weights, inputs]",
     "npu.yaml:15: memory.buffers: expected exactly one buffer that holds outputs, got none"),
    ("[weights, inputs, outputs]", "[weights, wieghts]",
     "npu.yaml:18: memory.buffers.scratchpad.holds.1: expected one of weights, inputs, outputs, "
     'got "wieghts" (did you mean "weights"?)'),
    ("[weights, inputs, outputs]", "[]",
     "npu.yaml:18: memory.buffers.scratchpad.holds: expected at least 1 in the list, got a list"),
    ("scratchpad:", "scratch.pad:",
     'npu.yaml:15: memory.buffers: expected buffer names of letters, digits and _, got "scratch.pad"'),
    ("entries: 64", "entries: 1",
     "npu.yaml:11: accumulators.entries: expected at least 2 with double_buffered accumulators, got 1"),
    ("bits: 32", "bits: 8\n  preloads_bias: no",
     'npu.yaml:11: accumulators.preloads_bias: expected true or false, got "no"'),
    ("columns: 2", "columns: 2\n  adder_tree_stages: 3",
     "npu.yaml:7: pe_grid.adder_tree_stages: expected dataflow dot_product for an adder tree, got weight_stationary"),
    ("bits: 32", "bits: 32\n  overflow: clip",
     'npu.yaml:11: accumulators.overflow: expected one of wrap, saturate, error, got "clip"'),
    ("columns: 2", "columns: 2\n  partial_sum_bits: 7",
     "npu.yaml:7: pe_grid.partial_sum_bits: expected at least 8, got 7"),
    ("columns: 2", "columns: 2\n  partial_sum_bits: 65",
     "npu.yaml:7: pe_grid.partial_sum_bits: expected at most 64, got 65"),
    ("columns: 2", "columns: 2\n  zero_points: bias",
     'npu.yaml:7: pe_grid.zero_points: expected one of fold_into_bias, subtract, got "bias"'),
    ("columns: 2", "columns: 2\n  row_sum_unit: 1",
     "npu.yaml:7: pe_grid.row_sum_unit: expected true or false, got 1"),
    ("{lanes: 2}\nvector", "{lanes: 2, scheme: tflite_doubel}\nvector",
     "npu.yaml:12: requantizer.scheme: expected one of tflite_double, tflite_single, litert_reference, tflite_micro, "
     "tflite_int16x8, litert_optimized, nvdla, float32_nearest_even, float64_half_away, shift_floor, dyadic, power_of_two, "
     "tosa_single, "
     'tosa_double, got "tflite_doubel" (did you mean "tflite_double"?)'),
    ("{lanes: 2}\nvector", "{lanes: 2, rounding: half_up}\nvector",
     "npu.yaml:12: requantizer.rounding: expected scheme power_of_two for a rounding of its own, got tflite_double"),
    ("{lanes: 2}\nvector", "{lanes: 2, scheme: power_of_two, rounding: stochastic}\nvector",
     "npu.yaml:12: requantizer.rounding: expected one of floor, truncate, half_up, half_away, half_even, "
     'got "stochastic"'),
    ("{lanes: 2}\nvector", "{lanes: 2, scheme: dyadic, multiplier_bits: 8}\nvector",
     "npu.yaml:12: requantizer.multiplier_bits: expected scheme shift_floor for a multiplier width, got dyadic"),
    ("{lanes: 2}\nvector", "{lanes: 2, scheme: shift_floor, multiplier_bits: 32}\nvector",
     "npu.yaml:12: requantizer.multiplier_bits: expected at most 31, got 32"),
    ("dma: {}", "dma: {}\nunconfirmed: [clock, pe_grid.rwos]",
     'npu.yaml:21: unconfirmed.1: expected the dotted path of a field, got "pe_grid.rwos" '
     '(did you mean "pe_grid.rows"?)'),
    ("energy: horowitz_45nm", "energy: horowitz",
     'npu.yaml:23: energy: expected the name of a shipped energy table or a table, got "horowitz" '
     f'(did you mean "horowitz_45nm"?); shipped are {TABLES}'),
    ("energy: horowitz_45nm", "energy: 45",
     f"npu.yaml:23: energy: expected the name of a shipped energy table or a table, got 45; shipped are {TABLES}"),
    ("energy: horowitz_45nm", "energy: eyeriss_relative\nleakage: 3 mW",
     "npu.yaml:24: leakage: expected none beside an energy table in multiples of a MAC, got 3.0"),
])
def test_mistake_is_told_with_its_line_and_field(old: str, new: str, message: str) -> None:
    assert refusal(changed(old, new)) == message


@pytest.mark.parametrize(("text", "message"), [
    ("", "npu.yaml:1: expected a mapping of keys such as name and pe_grid, got nothing"),
    ("# only a comment\n", "npu.yaml:1: expected a mapping of keys such as name and pe_grid, got nothing"),
    ("- 1\n", "npu.yaml:1: expected a mapping of keys such as name and pe_grid, got a list"),
    ("42\n", "npu.yaml:1: expected a mapping of keys such as name and pe_grid, got 42"),
    ("name: [a\n", "npu.yaml:2: expected YAML: expected ',' or ']', but got '<stream end>'"),
])
def test_text_that_is_no_description_is_refused(text: str, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize(("dataflow", "reason"), [
    ("output_stationary", "each PE keeps its own sum"), ("dot_product", "its adder tree is exact")])
def test_width_of_wires_is_refused_where_no_partial_sum_travels(dataflow: str, reason: str) -> None:
    text = changed("dataflow: weight_stationary", f"dataflow: {dataflow}\n  partial_sum_bits: 16")
    assert refusal(text) == (
        "npu.yaml:8: pe_grid.partial_sum_bits: expected dataflow weight_stationary or input_stationary for wires that "
        f"carry partial sums, got {dataflow}: {reason}")


def test_wires_narrower_than_an_operand_are_refused() -> None:
    text = changed("input_bits: 8}", "input_bits: 16}\n  partial_sum_bits: 12")
    assert refusal(text) == "npu.yaml:9: pe_grid.partial_sum_bits: expected at least the operands' 16 bits, got 12"


def test_registers_and_rule_are_those_of_the_description() -> None:
    plain = parse_accelerator(VALID, file="npu.yaml")
    assert plain.accumulators.register == plain.partial_sum_register == Register(32, "wrap")
    assert plain.requantizer.rule == Rule("tflite_double")
    text = changed("bits: 32", "bits: 24\n  overflow: saturate").replace("rows: 4", "rows: 4\n  partial_sum_bits: 20")
    narrow = parse_accelerator(text, file="npu.yaml")
    assert narrow.accumulators.register == Register(24, "saturate")
    assert narrow.partial_sum_register == Register(20, "saturate")
    for dataflow in ("output_stationary", "dot_product"):
        assert parse_accelerator(changed("weight_stationary", dataflow), file="npu.yaml").partial_sum_register is None
    for options, rule in (("scheme: power_of_two, rounding: floor", Rule("power_of_two", rounding="floor")),
                          ("scheme: shift_floor, multiplier_bits: 12", Rule("shift_floor", multiplier_bits=12))):
        text = changed("requantizer: {lanes: 2}", f"requantizer: {{lanes: 2, {options}}}")
        assert parse_accelerator(text, file="npu.yaml").requantizer.rule == rule


def test_first_of_several_problems_in_the_order_of_the_file_is_told() -> None:
    text = changed("rows: 4", "rows: 0").replace("bandwidth: 25.6 GB/s", "bandwith: 1").replace("lanes: 2}", "lanes: -1}")
    assert refusal(text) == "npu.yaml:5: pe_grid.rows: expected at least 1, got 0"
    text = changed("name: toy", "name: toy\nname: toy").replace("rows: 4", "rows: 0")
    assert refusal(text) == "npu.yaml:3: name: expected this key once, got it again (first in line 2)"


def test_anchors_and_merge_keys_give_the_same_accelerator() -> None:
    text = changed("requantizer: {lanes: 2}", "requantizer: &lanes {lanes: 2}")
    text = text.replace("vector_unit: {lanes: 2}", "vector_unit: {<<: *lanes, latency_cycles: 0}")
    assert parse_accelerator(text, file="npu.yaml") == parse_accelerator(VALID, file="npu.yaml")


def test_yaml_1_2_reads_no_as_text_and_octal_only_with_its_prefix() -> None:
    assert parse_accelerator(changed("name: toy", "name: no"), file="npu.yaml").name == "no"
    assert parse_accelerator(changed("rows: 4", "rows: 0x10"), file="npu.yaml").pe_grid.rows == 16
    assert parse_accelerator(changed("rows: 4", "rows: 010"), file="npu.yaml").pe_grid.rows == 10


def test_inline_energy_table_is_taken_and_checked() -> None:
    table = ("energy:\n  name: mine\n  technology: 5 nm\n  source: none\n  multiply: [{bits: 8, energy: 0.05 pJ}]\n"
             "  add: [{bits: 32, energy: 20 fJ}]\n  register: 1 fJ/bit\n"
             "  sram: [{capacity: 1 MiB, access_bits: 64, energy: 10 pJ}]\n  dram: 4 pJ/bit\n")
    accelerator = parse_accelerator(changed("energy: horowitz_45nm\n", table), file="npu.yaml")
    assert (accelerator.energy.add[0].energy_pj, accelerator.dram_pj_per_bit) == (0.02, 4.0)
    wrong = table.replace("bits: 8, energy: 0.05 pJ", "bits: 8, energy: 0.05 pJ}, {bits: 4, energy: 1 pJ")
    assert refusal(changed("energy: horowitz_45nm\n", wrong)) == (
        "npu.yaml:27: energy.multiply: expected points in ascending order without repetition, got [8, 4]")


def test_long_and_unprintable_values_stay_on_one_printable_line() -> None:
    message = refusal(changed("1 GHz", '"' + "x" * 500 + '"'))
    assert message == f'npu.yaml:3: clock: expected a frequency such as "800 MHz", got "{"x" * 60}..."'
    message = refusal(changed("1 GHz", r'"\ud800\n"'))
    assert message == 'npu.yaml:3: clock: expected Unicode text, got "\\ud800\\n"'


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    def told(content: bytes | None, name: str = "npu.yaml") -> str:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(HardwareError) as caught:
            load_accelerator(path)
        return str(caught.value).replace(str(tmp_path), "DIR")

    assert told(None, "missing.yaml") == "DIR/missing.yaml: expected a file, found none of that name"
    (tmp_path / "folder.yaml").mkdir()
    assert told(None, "folder.yaml") == "DIR/folder.yaml: expected a file, got a folder"
    assert told(b"name: a\nclock: \xff\n") == "DIR/npu.yaml:2: expected UTF-8 text, got the byte 0xff"
    assert told(b"#" * (2**20 + 1)) == (
        "DIR/npu.yaml: expected text of at most 1 MiB, got a larger file")
    assert told(None, "a\0.yaml").endswith("expected a readable file, got: embedded null byte")


def test_file_with_byte_order_mark_and_windows_line_ends_is_read(tmp_path: Path) -> None:
    path = tmp_path / "npu.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + VALID.replace("\n", "\r\n").encode())
    assert load_accelerator(path) == parse_accelerator(VALID, file="x")


def test_unknown_preset_names_the_nearest_and_all() -> None:
    with pytest.raises(HardwareError) as caught:
        load_accelerator("edge16x16")
    shipped = sorted(path.stem for path in preset_path("edge_16x16").parent.glob("*.yaml"))
    assert str(caught.value) == (
        'expected the name of a shipped accelerator or the path of a .yaml file, got "edge16x16" (did you mean '
        f'"edge_16x16"?); shipped are {", ".join(shipped)}')
