"""Each precision kind against a slow reference that is written from the paper's own rule."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
import random_precisions as random
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from accelsim.errors import HardwareError
from accelsim.hardware import (
    BinaryPrecision,
    BitFusionPrecision,
    BitSerialPrecision,
    CodebookPrecision,
    FixedPrecision,
    FloatPrecision,
    Precision,
    ShiftAddPrecision,
    StepCost,
    TernaryPrecision,
    load_accelerator,
    with_changes,
)

EDGE = load_accelerator("edge_16x16")
ADAPTER = TypeAdapter(Precision)


def made(document):
    return ADAPTER.validate_python(document)


# Bit Fusion ----------------------------------------------------------------------------------------------------------------


def pairs_of_bricks(weight_bits: int, input_bits: int, fused_bits: int) -> int:
    """Sharma et al. 2018, section III: bricks of 2 bits in a square; those of one multiplication are a rectangle whose sides
    are powers of two. Place rectangles until none fits."""
    side = fused_bits // 2
    sides = []
    for bits in (weight_bits, input_bits):
        bricks = 1
        while 2 * bricks < bits:
            bricks += bricks
        sides.append(bricks)
    free = {(row, column) for row in range(side) for column in range(side)}
    placed = 0
    for row, column in product(range(0, side, sides[0]), range(0, side, sides[1])):
        rectangle = {(row + i, column + j) for i in range(sides[0]) for j in range(sides[1])}
        if rectangle <= free:
            free -= rectangle
            placed += 1
    return placed


@pytest.mark.parametrize("fused", [4, 8, 16])
def test_bricks_fuse_into_as_many_multipliers_as_fit_the_square(fused: int) -> None:
    precision = BitFusionPrecision(kind="bit_fusion", fused_bits=fused, weight_bits=fused, input_bits=fused)
    for weight_bits, input_bits in product(range(1, fused + 1), repeat=2):
        found = precision.macs_per_pe_cycle(weight_bits=weight_bits, input_bits=input_bits)
        assert found == pairs_of_bricks(weight_bits, input_bits, fused)


def test_factor_equals_that_of_the_bit_fusion_simulator_up_to_eight_bits() -> None:
    """hsharma35/bitfusion, simulator/accelerator.py, get_perf_factor: int(pmax / max(a, pmin)) * int(pmax / max(w, pmin)).
    Its quotients give 5 to 7 bits the factor of 8, and 3 bits that of 4, without rounding the bits."""
    precision = BitFusionPrecision(kind="bit_fusion")
    for weight_bits, input_bits in product(range(1, 9), repeat=2):
        published = int(8 / max(input_bits, 2)) * int(8 / max(weight_bits, 2))
        assert precision.macs_per_pe_cycle(weight_bits=weight_bits, input_bits=input_bits) == published


def test_operands_beyond_the_bricks_take_as_many_passes_as_pairs_of_pieces() -> None:
    precision = BitFusionPrecision(kind="bit_fusion", weight_bits=32, input_bits=32)
    for weight_bits, input_bits in product(range(9, 33), repeat=2):
        pieces = [(i, j) for i in range(0, weight_bits, 8) for j in range(0, input_bits, 8)]
        assert precision.step_cost(weight_bits=weight_bits, input_bits=input_bits) == StepCost(cycles=len(pieces))
        executed = precision.executed_bits(weight_bits=weight_bits, input_bits=input_bits)
        assert executed is not None
        assert (executed[0] // 8) * (executed[1] // 8) == len(pieces)
    assert precision.step_cost(weight_bits=16, input_bits=4) == StepCost(cycles=2, reduction=Fraction(2))


# Bit serial ----------------------------------------------------------------------------------------------------------------


def serial_product(weight: int, given: int, weight_bits: int, input_bits: int, serial: str, step: int) -> tuple[int, int]:
    """(product, cycles) of shifting the bits of the serial operands in, `step` of each a cycle."""
    mask = (1 << step) - 1
    weights = [(weight >> i & mask, i) for i in range(0, weight_bits, step)] if serial != "inputs" else [(weight, 0)]
    inputs = [(given >> i & mask, i) for i in range(0, input_bits, step)] if serial != "weights" else [(given, 0)]
    total = cycles = 0
    for (w, i), (x, j) in product(weights, inputs):
        total += w * x << (i + j)
        cycles += 1
    return total, cycles


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["weights", "inputs", "both"]), st.integers(1, 16), st.integers(1, 16), st.integers(1, 4), st.data())
def test_a_serial_step_takes_the_cycles_in_which_the_bits_make_the_product(serial, weight_bits, input_bits, step, data):
    weight, x = data.draw(st.integers(0, 2**weight_bits - 1)), data.draw(st.integers(0, 2**input_bits - 1))
    total, cycles = serial_product(weight, x, weight_bits, input_bits, serial, step)
    assert total == weight * x
    precision = BitSerialPrecision(kind="bit_serial", serial=serial, weight_bits=16, input_bits=16, bits_per_cycle=step,
                                   overhead_cycles=7)
    cost = precision.step_cost(weight_bits=weight_bits, input_bits=input_bits)
    assert cost == StepCost(cycles=cycles, fixed_cycles=7)
    assert precision.macs_per_pe_cycle(weight_bits=weight_bits, input_bits=input_bits) == Fraction(1, cycles)


def test_published_speedups_of_serial_machines_over_sixteen_parallel_bits() -> None:
    """Stripes: 16 / Pa with 16 serial multipliers for each parallel one; Loom: 256 / (Pa * Pw) with 256."""
    stripes = BitSerialPrecision(kind="bit_serial", serial="inputs", weight_bits=16, input_bits=16)
    loom = BitSerialPrecision(kind="bit_serial", serial="both", weight_bits=16, input_bits=16)
    for weight_bits, input_bits in product(range(1, 17), repeat=2):
        rate = stripes.macs_per_pe_cycle(weight_bits=weight_bits, input_bits=input_bits)
        assert 16 * rate == Fraction(16, input_bits)
        rate = loom.macs_per_pe_cycle(weight_bits=weight_bits, input_bits=input_bits)
        assert 256 * rate == Fraction(256, input_bits * weight_bits)


def test_unpu_peaks_at_its_published_rates() -> None:
    """Lee et al., JSSC 2019 (recalled): 345.6, 691.2, 1382 and 7372 GOPS at 16, 8, 4 and 1-bit weights and 200 MHz; its
    tables hold 4 inputs instead of 3 at one bit."""
    unpu = BitSerialPrecision(kind="bit_serial", serial="weights", weight_bits=16, input_bits=16, one_bit_reduction="4/3")
    pes = 13824  # 345.6 GOPS / 2 / 200 MHz x 16 cycles
    for bits, gops in ((16, 345.6), (8, 691.2), (4, 1382.4), (1, 7372.8)):
        assert float(2 * 200e6 * pes * unpu.macs_per_pe_cycle(weight_bits=bits, input_bits=16)) == pytest.approx(gops * 1e9)


def test_kernels_of_one_position_run_at_any_weight_width_in_the_same_time() -> None:
    ne16 = BitSerialPrecision(kind="bit_serial", serial="weights", overhead_cycles=45, depthwise_overhead_cycles=61,
                              pointwise={"reduction": "1/9", "overhead_cycles": 33})
    for bits in range(1, 9):
        assert ne16.step_cost(weight_bits=bits, input_bits=8, form="pointwise") == StepCost(
            reduction=Fraction(1, 9), fixed_cycles=33)
        assert ne16.step_cost(weight_bits=bits, input_bits=8, form="depthwise") == StepCost(cycles=bits, fixed_cycles=61)
        assert ne16.step_cost(weight_bits=bits, input_bits=8) == StepCost(cycles=bits, fixed_cycles=45)


def test_serial_operands_below_the_least_width_run_as_it() -> None:
    """pulp-platform/ne16, README: weights of 2 to 8 bits. The steps of 1-bit weights are those of 2 bits."""
    ne16 = load_accelerator("ne16_gap9").pe_grid.precision
    for bits, executed in ((1, 2), (2, 2), (3, 3), (8, 8)):
        assert ne16.executed_bits(weight_bits=bits, input_bits=8) == (executed, 8)
        assert ne16.step_cost(weight_bits=bits, input_bits=8) == StepCost(cycles=executed, fixed_cycles=45)
    both = BitSerialPrecision(kind="bit_serial", serial="both", least_bits=3, bits_per_cycle=2)
    assert both.executed_bits(weight_bits=1, input_bits=5) == (4, 6)
    assert both.step_cost(weight_bits=1, input_bits=5).cycles == 2 * 3
    one_bit = BitSerialPrecision(kind="bit_serial", serial="weights", least_bits=2, one_bit_reduction="4/3")
    assert one_bit.step_cost(weight_bits=1, input_bits=8) == StepCost(cycles=2)


# Subword -------------------------------------------------------------------------------------------------------------------

TPU = {"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 1},
                                    {"weight_bits": 8, "input_bits": 16, "macs_per_cycle": "1/2"},
                                    {"weight_bits": 16, "input_bits": 8, "macs_per_cycle": "1/2"},
                                    {"weight_bits": 16, "input_bits": 16, "macs_per_cycle": "1/4"}]}


@settings(max_examples=300, deadline=None)
@given(random.subwords())
def test_a_layer_runs_in_the_fastest_mode_that_it_fits(document):
    precision = made(document)
    for weight_bits, input_bits in product(range(1, 10), repeat=2):
        best = None
        for mode in document["modes"]:
            if weight_bits <= mode["weight_bits"] and input_bits <= mode["input_bits"]:
                rate = Fraction(mode["macs_per_cycle"])
                best = rate if best is None or rate > best else best
        executed = precision.executed_bits(weight_bits=weight_bits, input_bits=input_bits)
        assert (executed is None) == (best is None)
        if best is not None:
            assert precision.macs_per_pe_cycle(weight_bits=weight_bits, input_bits=input_bits) == best
            assert weight_bits <= executed[0]
            assert input_bits <= executed[1]


def test_tpu_v1_runs_eight_by_sixteen_bits_at_half_and_sixteen_by_sixteen_at_a_quarter_of_its_speed() -> None:
    tpu = load_accelerator("tpu_v1")
    assert tpu.pe_grid.precision == made(TPU)
    for bits, peak in (((8, 8), 65536), ((8, 16), 32768), ((16, 8), 32768), ((16, 16), 16384), ((4, 9), 32768)):
        assert tpu.peak_macs_per_cycle_at(weight_bits=bits[0], input_bits=bits[1]) == peak


def test_t4_reaches_its_published_peaks() -> None:
    """320 tensor cores of 64 fp16 MACs at 1590 MHz (NVIDIA T4 data sheet): 65 TFLOPS fp16, 130 TOPS int8, 260 TOPS int4."""
    modes = [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 2},
             {"weight_bits": 4, "input_bits": 4, "macs_per_cycle": 4},
             {"weight_bits": 16, "input_bits": 16, "macs_per_cycle": 1, "is_float": True}]
    t4 = with_changes(EDGE, {"clock": "1590 MHz", "pe_grid.rows": 320, "pe_grid.columns": 64,
                             "pe_grid.precision": {"kind": "subword", "modes": modes}})
    for bits, tops in ((16, 65.1), (8, 130.25), (4, 260.5)):
        peak = 2 * t4.peak_macs_per_cycle_at(weight_bits=bits, input_bits=bits) * t4.clock_hz / 1e12
        assert peak == pytest.approx(tops, rel=1e-3)


# The kinds of one speed ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "fitting", "executed", "refused"), [
    (FixedPrecision(weight_bits=8, input_bits=16), (4, 9), (8, 16), (9, 8)),
    (FixedPrecision(weight_bits=8, input_bits=16, gated=True), (4, 9), (4, 9), (8, 17)),
    (BinaryPrecision(kind="binary"), (1, 1), (1, 1), (2, 1)),
    (BinaryPrecision(kind="binary", input_bits=8), (1, 4), (1, 8), (1, 9)),
    (TernaryPrecision(kind="ternary"), (1, 2), (2, 2), (3, 2)),
    (ShiftAddPrecision(kind="shift_add", weight_bits=5), (4, 8), (5, 8), (6, 8)),
    (CodebookPrecision(kind="codebook", index_bits=8, vector_length=4, entry_bits=8), (2, 8), (8, 8), (3, 8)),
    (FloatPrecision(kind="float", bits=16), (8, 4), (16, 16), (17, 8)),
])
def test_operands_are_rounded_up_to_the_hardware_and_take_a_cycle(precision, fitting, executed, refused) -> None:
    assert precision.executed_bits(weight_bits=fitting[0], input_bits=fitting[1]) == executed
    assert precision.macs_per_pe_cycle(weight_bits=fitting[0], input_bits=fitting[1]) == 1
    assert precision.executed_bits(weight_bits=refused[0], input_bits=refused[1]) is None


def test_a_codebook_is_as_large_as_its_indices_choose_vectors_of_weights() -> None:
    table = CodebookPrecision(kind="codebook", index_bits=8, vector_length=4, entry_bits=8)
    assert table.table_bytes == 256 * 4
    assert CodebookPrecision(kind="codebook", index_bits=2, entry_bits=3).table_bytes == 2  # 12 bits


# Every kind ----------------------------------------------------------------------------------------------------------------


@settings(max_examples=500, deadline=None)
@given(random.precisions, st.data())
def test_fewer_bits_are_never_slower_and_execute_no_wider(document, data):
    precision = made(document)
    weight_bits, input_bits = data.draw(random.widths(precision))
    narrower = data.draw(st.integers(1, weight_bits)), data.draw(st.integers(1, input_bits))
    wide = precision.executed_bits(weight_bits=weight_bits, input_bits=input_bits)
    narrow = precision.executed_bits(weight_bits=narrower[0], input_bits=narrower[1])
    assert narrow is not None
    assert narrow[0] * narrow[1] <= wide[0] * wide[1]
    for form in ("window", "pointwise", "depthwise"):
        slow = precision.step_cost(weight_bits=weight_bits, input_bits=input_bits, form=form)
        fast = precision.step_cost(weight_bits=narrower[0], input_bits=narrower[1], form=form)
        assert fast.macs_per_cycle >= slow.macs_per_cycle
        assert fast.fixed_cycles == slow.fixed_cycles
        peak = precision.macs_per_pe_cycle(weight_bits=weight_bits, input_bits=input_bits)
        assert slow.macs_per_cycle <= peak


@settings(max_examples=300, deadline=None)
@given(random.precisions)
def test_every_kind_survives_the_round_trip_and_knows_its_limits(document):
    precision = made(document)
    assert made(precision.to_document()) == precision
    assert precision.executed_bits(weight_bits=precision.native_bits[0], input_bits=precision.native_bits[1]) is not None
    for weight_bits, input_bits in precision.limits:
        executed = precision.executed_bits(weight_bits=weight_bits, input_bits=input_bits)
        assert executed is not None
        assert max(executed) <= precision.widest_operand_bits
        assert not any(precision.executed_bits(weight_bits=w, input_bits=a) is not None
                       for w, a in ((weight_bits + 1, input_bits), (weight_bits, input_bits + 1))
                       if not any(w <= other[0] and a <= other[1] for other in precision.limits))


@pytest.mark.parametrize(("changes", "message"), [
    ({"kind": "bit_fusion", "fused_bits": 6}, "pe_grid.precision.fused_bits: expected one of 4, 8, 16, got 6"),
    ({"kind": "bit_fusion", "weight_bits": 4},
     "pe_grid.precision.weight_bits: expected at least the 8 bits of fused_bits, got 4"),
    ({"kind": "bit_serial"}, "pe_grid.precision.serial: expected this key, which is missing"),
    ({"kind": "bit_serial", "serial": "inputs", "one_bit_reduction": "1/2"},
     "pe_grid.precision.one_bit_reduction: expected at least 1, got 1/2"),
    ({"kind": "bit_serial", "serial": "weights", "pointwise": {"reduction": 2}},
     "pe_grid.precision.pointwise.reduction: expected at most 1, got 2"),
    ({"kind": "bit_serial", "serial": "weights", "weight_bits": 4, "least_bits": 5},
     "pe_grid.precision.least_bits: expected at most the 4 bits of the weights, got 5"),
    ({"kind": "bit_serial", "serial": "both", "input_bits": 4, "least_bits": 5},
     "pe_grid.precision.least_bits: expected at most the 4 bits of the inputs, got 5"),
    ({"kind": "subword", "modes": []}, "pe_grid.precision.modes: expected at least 1 in the list, got none"),
    ({"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 0.5}]},
     'pe_grid.precision.modes.0.macs_per_cycle: expected a whole number or a fraction such as "1/4", got 0.5'),
    ({"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 0}]},
     "pe_grid.precision.modes.0.macs_per_cycle: expected more than 0, got 0"),
    ({"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 1}] * 2},
     "pe_grid.precision.modes.1: expected one mode for each pair of widths, got 8/8 again"),
    ({"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 2},
                                   {"weight_bits": 4, "input_bits": 4, "macs_per_cycle": "1/2"}]},
     "pe_grid.precision.modes.0.macs_per_cycle: expected at most the 1/2 of the narrower mode 4/4, got 2"),
    ({"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": "2/3"}]},
     "pe_grid.precision.modes.0.macs_per_cycle: expected a whole number or one over a whole number, got 2/3"),
    ({"kind": "subword", "overhead": "1/2", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 1}]},
     "pe_grid.precision.overhead: expected at least 1, got 1/2"),
    ({"kind": "codebook", "index_bits": 3, "vector_length": 4},
     "pe_grid.precision.vector_length: expected at most the index's 3 bits, got 4"),
    ({"kind": "binary", "inputs_bits": 3},
     'pe_grid.precision.inputs_bits: expected a known key, got "inputs_bits" (did you mean "input_bits"?)'),
    ({"input_bits": 3}, "pe_grid.precision.kind: expected this key, which is missing"),
    ({"kind": "float", "bits": 8}, "pe_grid.precision.bits: expected one of 16, 32, got 8"),
])
def test_impossible_precisions_are_told_with_their_field(changes: dict[str, object], message: str) -> None:
    with pytest.raises(HardwareError) as caught:
        with_changes(EDGE, {"pe_grid.precision": changes})
    assert str(caught.value) == message


@pytest.mark.parametrize(("changes", "message"), [
    ({"pe_grid.precision": {"kind": "float"}, "energy": "eyeriss_relative", "dram.energy": None, "leakage": None},
     "pe_grid.precision: expected an energy table with floating point operations, got eyeriss_relative"),
    ({"pe_grid.precision": {"kind": "bit_fusion"}, "pe_grid.zero_points": "subtract"},
     "pe_grid.zero_points: expected fold_into_bias with precision bit_fusion, whose multipliers take no inputs one bit "
     "wider, got subtract"),
    ({"pe_grid.precision": TPU, "accumulators.bits": 12},
     "accumulators.bits: expected at least the operands' 16 bits, got 12"),
    ({"pe_grid.precision": TPU, "pe_grid.partial_sum_bits": 15},
     "pe_grid.partial_sum_bits: expected at least the operands' 16 bits, got 15"),
    ({"pe_grid.dataflow": "output_stationary", "pe_grid.preload_cycles": 3},
     "pe_grid.preload_cycles: expected a dataflow with a preloaded operand, got output_stationary"),
    ({"pe_grid.rows": 4,
      "pe_grid.precision": {"kind": "bit_serial", "serial": "weights", "pointwise": {"reduction": "1/9"}}},
     "pe_grid.precision.pointwise.reduction: expected at least one of the 4 reduction lanes, 1/4, got 1/9"),
])
def test_impossible_combinations_are_told(changes: dict[str, object], message: str) -> None:
    with pytest.raises(HardwareError) as caught:
        with_changes(EDGE, changes)
    assert str(caught.value) == message


def test_wider_inputs_are_taken_where_one_more_bit_of_a_parallel_operand_costs_no_time() -> None:
    takes = {kind: made(document).takes_wider_inputs for kind, document in {
        "fixed": {"kind": "fixed"}, "codebook": {"kind": "codebook"}, "shift_add": {"kind": "shift_add"},
        "serial weights": {"kind": "bit_serial", "serial": "weights"},
        "serial inputs": {"kind": "bit_serial", "serial": "inputs"}, "bit_fusion": {"kind": "bit_fusion"}, "subword": TPU,
        "binary": {"kind": "binary"}, "float": {"kind": "float"}}.items()}
    assert [kind for kind, does in takes.items() if does] == ["fixed", "codebook", "shift_add", "serial weights"]


def test_kinds_refuse_keys_of_other_kinds() -> None:
    with pytest.raises(ValidationError):
        made({"kind": "fixed", "fused_bits": 8})
