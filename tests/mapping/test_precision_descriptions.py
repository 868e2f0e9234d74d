"""Mistakes in the description of a PE's precision are told in one line; every description keeps what the kinds promise."""

from __future__ import annotations

from fractions import Fraction

import pytest
import random_precisions as random
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from accelsim import Layer, Network, Tensor, simulate
from accelsim.energy.layer_energy import layer_energy_pj
from accelsim.errors import HardwareError
from accelsim.hardware import Precision, load_accelerator, parse_accelerator, preset_path, with_changes
from accelsim.hardware.pe_grid import PeGrid
from accelsim.mapping.fold import stream_timing
from accelsim.mapping.fold_plan import BlockShape, channel_lanes, fold_runs, step_cost
from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.axis import Axis
from accelsim.workload.operation import MatMul

ADAPTER = TypeAdapter(Precision)
EDGE = load_accelerator("edge_16x16")
TEXT = preset_path("edge_16x16").read_text(encoding="utf-8")
KINDS = "fixed, subword, bit_fusion, bit_serial, binary, ternary, shift_add, codebook, float"


def described(*lines: str) -> str:
    """The edge accelerator with these lines as its precision, which begins in line 1."""
    kept, inside = [], False
    for line in TEXT.splitlines():
        inside = line.startswith("  precision:") or (inside and line.startswith("    "))
        if not inside:
            kept.append(line)
    place = kept.index("pe_grid:") + 1
    moved = [*kept[place - 1:place], "  precision:", *(f"    {line}" for line in lines), *kept[place:], *kept[:place - 1]]
    return "\n".join(moved) + "\n"


#: (lines below "precision:", which is line 2; message).
MISTAKES = [
    (("kind: fixed", "weight_bits: 0"), "4: pe_grid.precision.weight_bits: expected at least 1, got 0"),
    (("kind: fixed", "weight_bits: -8"), "4: pe_grid.precision.weight_bits: expected at least 1, got -8"),
    (("kind: fixed", "input_bits: 33"), "4: pe_grid.precision.input_bits: expected at most 32, got 33"),
    (("kind: fixed", "weight_bits: 8.0"), "4: pe_grid.precision.weight_bits: expected a whole number, got 8.0"),
    (("kind: fixed", "weight_bits: .nan"), "4: pe_grid.precision.weight_bits: expected a whole number, got nan"),
    (("kind: fixed", "gated: 1"), "4: pe_grid.precision.gated: expected true or false, got 1"),
    (("kind: fixed", "gatde: true"),
     '4: pe_grid.precision.gatde: expected a known key, got "gatde" (did you mean "gated"?)'),
    (("kind: fixde",), f'3: pe_grid.precision.kind: expected one of {KINDS}, got "fixde" (did you mean "fixed"?)'),
    (("kind: 8",), f"3: pe_grid.precision.kind: expected one of {KINDS}, got 8"),
    (("kind:",), f"3: pe_grid.precision.kind: expected one of {KINDS}, got nothing"),
    (("weight_bits: 8",), "2: pe_grid.precision.kind: expected this key, which is missing"),
    (("kind: fixed", "kind: fixed"), "4: pe_grid.precision.kind: expected this key once, got it again (first in line 3)"),
    (("kind: subword",), "2: pe_grid.precision.modes: expected this key, which is missing"),
    (("kind: subword", "modes:"), "4: pe_grid.precision.modes: expected a list, got nothing"),
    (("kind: subword", "modes: []"), "4: pe_grid.precision.modes: expected at least 1 in the list, got none"),
    (("kind: subword", "modes: {weight_bits: 8, input_bits: 8, macs_per_cycle: 1}"),
     "4: pe_grid.precision.modes: expected a list, got a mapping"),
    (("kind: subword", "modes:", "  - {weight_bits: 8, input_bits: 8}"),
     "5: pe_grid.precision.modes.0.macs_per_cycle: expected this key, which is missing"),
    (("kind: subword", "modes:", "  - {weight_bits: 8, input_bits: 8, macs_per_cycle: .nan}"),
     '5: pe_grid.precision.modes.0.macs_per_cycle: expected a whole number or a fraction such as "1/4", got nan'),
    (("kind: subword", "modes:", "  - {weight_bits: 8, input_bits: 8, macs_per_cycle: -1}"),
     "5: pe_grid.precision.modes.0.macs_per_cycle: expected more than 0, got -1"),
    (("kind: subword", "modes:", "  - {weight_bits: 8, input_bits: 8, macs_per_cycle: 1/0}"),
     '5: pe_grid.precision.modes.0.macs_per_cycle: expected a whole number or a fraction such as "1/4", got "1/0"'),
    (("kind: subword", "modes:", "  - {weight_bits: 8, input_bits: 8, macs_per_cycle: 3/2}"),
     "5: pe_grid.precision.modes.0.macs_per_cycle: expected a whole number or one over a whole number, got 3/2"),
    (("kind: subword", "modes:", "  - {weight_bits: 8, input_bits: 8, mac_per_cycle: 1}"),
     '5: pe_grid.precision.modes.0.mac_per_cycle: expected a known key, got "mac_per_cycle" (did you mean '
     '"macs_per_cycle"?)'),
    (("kind: subword", "modes:", "  - {weight_bits: 8, input_bits: 8, macs_per_cycle: 1}",
      "  - {weight_bits: 4, input_bits: 4, macs_per_cycle: 1}", "  - {weight_bits: 8, input_bits: 8, macs_per_cycle: 2}"),
     "7: pe_grid.precision.modes.2: expected one mode for each pair of widths, got 8/8 again"),
    (("kind: subword", "modes:", "  - {weight_bits: 4, input_bits: 4, macs_per_cycle: 1}",
      "  - {weight_bits: 8, input_bits: 8, macs_per_cycle: 4}"),
     "6: pe_grid.precision.modes.1.macs_per_cycle: expected at most the 1 of the narrower mode 4/4, got 4"),
    (("kind: subword", "widens: rows", "modes: [{weight_bits: 8, input_bits: 8, macs_per_cycle: 4}]"),
     '4: pe_grid.precision.widens: expected one of reduction, channels, got "rows"'),
    (("kind: subword", "overhead: 1.3", "modes: [{weight_bits: 8, input_bits: 8, macs_per_cycle: 4}]"),
     '4: pe_grid.precision.overhead: expected a whole number or a fraction such as "1/4", got 1.3'),
    (("kind: bit_fusion", "fused_bits: 6"), "4: pe_grid.precision.fused_bits: expected one of 4, 8, 16, got 6"),
    (("kind: bit_fusion", 'fused_bits: "8"'),
     '4: pe_grid.precision.fused_bits: expected one of 4, 8, 16, a number, got "8"'),
    (("kind: bit_fusion", "bricks: 2"),
     '4: pe_grid.precision.bricks: expected one of kind, fused_bits, weight_bits, input_bits, got "bricks"'),
    (("kind: bit_fusion", "fused_bits: 16", "weight_bits: 8"),
     "5: pe_grid.precision.weight_bits: expected at least the 16 bits of fused_bits, got 8"),
    (("kind: bit_serial",), "2: pe_grid.precision.serial: expected this key, which is missing"),
    (("kind: bit_serial", "serial: weight"), '4: pe_grid.precision.serial: expected one of weights, inputs, both, got '
                                             '"weight" (did you mean "weights"?)'),
    (("kind: bit_serial", "serial: both", "bits_per_cycle: 9"),
     "5: pe_grid.precision.bits_per_cycle: expected at most 8, got 9"),
    (("kind: bit_serial", "serial: both", "overhead_cycles: -1"),
     "5: pe_grid.precision.overhead_cycles: expected at least 0, got -1"),
    (("kind: bit_serial", "serial: weights", "pointwise: 1/9"),
     '5: pe_grid.precision.pointwise: expected a mapping, got "1/9"'),
    (("kind: bit_serial", "serial: weights", "pointwise: {reduction: 1/99}"),
     "5: pe_grid.precision.pointwise.reduction: expected at least one of the 16 reduction lanes, 1/16, got 1/99"),
    (("kind: binary", "input_bits: 0"), "4: pe_grid.precision.input_bits: expected at least 1, got 0"),
    (("kind: ternary", "input_bit: 2"),
     '4: pe_grid.precision.input_bit: expected a known key, got "input_bit" (did you mean "input_bits"?)'),
    (("kind: shift_add", "weight_bits: 1"), "4: pe_grid.precision.weight_bits: expected at least 2, got 1"),
    (("kind: shift_add", "weight_bits: 7"), "4: pe_grid.precision.weight_bits: expected at most 6, got 7"),
    (("kind: codebook", "index_bits: 17"), "4: pe_grid.precision.index_bits: expected at most 16, got 17"),
    (("kind: codebook", "vector_length: 0"), "4: pe_grid.precision.vector_length: expected at least 1, got 0"),
    (("kind: codebook", "vector_length: 5"),
     "4: pe_grid.precision.vector_length: expected at most the index's 4 bits, got 5"),
    (("kind: codebook", "vector_length: 3", "index_bits: 8"),
     "5: pe_grid.precision.index_bits: expected a multiple of the 3 weights of vector_length, got 8"),
    (("kind: codebook", "index_bits: 12", "vector_length: 2", "entry_bits: 5"),
     "6: pe_grid.precision.entry_bits: expected at least the 6 bits of an index a weight, got 5"),
    (("kind: float", "bits: 8"), "4: pe_grid.precision.bits: expected one of 16, 32, got 8"),
    (("kind: float", "weight_bits: 16"), '4: pe_grid.precision.weight_bits: expected one of kind, bits, got "weight_bits"'),
]


@pytest.mark.parametrize(("lines", "message"), MISTAKES)
def test_a_mistake_is_told_with_file_line_and_field(lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(HardwareError) as caught:
        parse_accelerator(described(*lines), file="npu.yaml")
    assert str(caught.value) == f"npu.yaml:{message}"


def test_the_description_without_mistakes_is_read() -> None:
    assert parse_accelerator(described("kind: bit_fusion"), file="npu.yaml").pe_grid.precision.native_bits == (8, 8)


# Every description ---------------------------------------------------------------------------------------------------------


@settings(max_examples=500, deadline=None)
@given(random.precisions, st.data())
def test_operands_are_never_cut_and_rounding_them_again_changes_nothing(document, data):
    precision = ADAPTER.validate_python(document)
    weight_bits, input_bits = data.draw(random.widths(precision))
    executed = precision.executed_bits(weight_bits=weight_bits, input_bits=input_bits)
    assert executed is not None
    assert executed[0] >= weight_bits
    assert executed[1] >= input_bits
    assert max(executed) <= precision.widest_operand_bits


@settings(max_examples=300, deadline=None)
@given(random.precisions, st.sampled_from(("weight_stationary", "output_stationary", "input_stationary", "dot_product")),
       st.data())
def test_a_layer_that_fills_the_grid_runs_at_the_peak_of_its_form(document, dataflow, data):
    """12 x 12 PEs, which every share and factor of the random kinds divides."""
    grid = PeGrid.model_validate({"rows": 12, "columns": 12, "pixels": data.draw(st.integers(1, 3)), "dataflow": dataflow,
                                  "precision": document})
    bits = data.draw(random.widths(grid.precision))
    form = data.draw(st.sampled_from(("window", "pointwise")))
    cost = grid.precision.step_cost(weight_bits=bits[0], input_bits=bits[1], form=form)
    window = 1 if form == "pointwise" else 3
    channels = int(12 * cost.reduction) * data.draw(st.integers(1, 3))
    rows, columns = Axis(24 + window - 1, 24, kernel=window), Axis(grid.pixels, grid.pixels)
    work = GemmWork(groups=1, images=1, rows=rows, columns=columns, channels=channels,
                    n=channel_lanes(grid, cost) * 12 * cost.channels, has_channel_groups=True, weight_bits=bits[0],
                    input_bits=bits[1], output_bits=8)
    assert step_cost(grid, work) == cost
    block = BlockShape(groups=1, positions=work.m, n=work.n, k_first=0, k=work.k)
    ideal = stream_timing(grid, fold_runs(grid, work, block), cost).ideal_cycles
    peak = 144 * grid.pixels * cost.reduction * cost.channels / cost.cycles
    assert ideal * peak == work.macs
    assert grid.peak_macs_per_cycle(weight_bits=bits[0], input_bits=bits[1]) >= peak


@settings(max_examples=60, deadline=None)
@given(random.precisions, st.data())
def test_parts_of_the_energy_are_not_negative_and_make_the_whole_for_any_kind(document, data):
    machine = with_changes(EDGE, {"pe_grid.precision": document})
    bits = data.draw(random.widths(machine.pe_grid.precision))
    layer = Layer("fc", MatMul(m=5, k=48, n=20), (Tensor("x", (5, 48), bits[1]),), Tensor("y", (5, 20), 8),
                  weights=Tensor("w", (20, 48), bits[0], is_constant=True))
    result = simulate(machine, Network("one", (layer,)))
    (found,), (row,) = result.layers, result.rows()
    again = layer_energy_pj(found.counts, machine, total_cycles=found.total_cycles, quantization=found.quantization)
    assert again == found.energy_pj
    assert all(energy >= 0 for energy in found.energy_pj.values())
    assert ("codebook" in found.energy_pj) == (document["kind"] == "codebook")
    parts = [value for name, value in row.items() if name.startswith("energy_") and name != "energy_pj"]
    assert len(parts) == len(found.energy_pj)
    assert sum(parts) == pytest.approx(row["energy_pj"]) == pytest.approx(result.total_energy_pj)
    assert (found.macs, found.counts.macs) == (5 * 48 * 20, 5 * 48 * 20)
    assert found.counts.dram_read_bytes["weights"] == -(-20 * 48 * bits[0] // 8)


def test_of_equally_fast_modes_a_layer_runs_in_that_of_the_fewest_partial_products() -> None:
    modes = [{"weight_bits": w, "input_bits": a, "macs_per_cycle": 1} for w, a in ((16, 16), (8, 8), (4, 8), (4, 4))]
    for order in (modes, modes[::-1]):
        precision = ADAPTER.validate_python({"kind": "subword", "modes": order})
        for asked, executed in (((4, 4), (4, 4)), ((3, 5), (4, 8)), ((5, 3), (8, 8)), ((9, 1), (16, 16))):
            assert precision.executed_bits(weight_bits=asked[0], input_bits=asked[1]) == executed


def test_a_ratio_of_two_whole_numbers_is_a_whole_rate() -> None:
    precision = ADAPTER.validate_python({"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8,
                                                                       "macs_per_cycle": "4/2"}]})
    assert precision.macs_per_pe_cycle(weight_bits=8, input_bits=8) == Fraction(2)
