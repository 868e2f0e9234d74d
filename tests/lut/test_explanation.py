"""What fewer bits promise and give, and what holds a layer that gains nothing."""

import math

import pytest
import scipy.stats

from accelsim import load_accelerator, with_changes
from accelsim.errors import TableError
from accelsim.lut.explanation import bit_operations, explain, rounded_up, spearman
from accelsim.lut.latency_table import LatencyTable
from accelsim.lut.layer_cost import LayerCost
from accelsim.lut.operand_bits import OperandBits
from accelsim.lut.table_builder import build_table
from accelsim.lut.table_header import TableHeader
from accelsim.report.explain import rounding_text, sentences
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.operation import Convolution, MatMul
from accelsim.workload.tensor import Tensor


def product(name, *, m, k, n):
    return Network(name, (Layer(name, MatMul(m=m, k=k, n=n), (Tensor("x", (m, k), 8),), Tensor("y", (m, n), 8),
                                weights=Tensor("w", (n, k), 8, is_constant=True)),), ("y",))


def halvings(network, chip):
    table = build_table(network, chip, weight_bits=[4, 8], input_bits=[4, 8], output_bits=[8])
    (layer,) = explain(table).layers
    return {halving.what: halving for halving in layer.halvings}


def test_a_product_that_fills_the_bricks_gains_nearly_what_bops_promise():
    chip = with_changes(load_accelerator("bitfusion_16x32"), {"dram.bandwidth": "1 TB/s"})
    found = halvings(product("wide", m=4096, k=512, n=256), chip)
    assert {what: halving.promised for what, halving in found.items()} == {"weights": 2, "inputs": 2, "both": 4}
    assert {halving.reason for halving in found.values()} == {"faster"}
    assert 3.5 < found["both"].gain < 4.1


def test_multipliers_of_one_width_gain_nothing_from_fewer_bits():
    chip = with_changes(load_accelerator("edge_16x16"), {"dram.bandwidth": "1 TB/s"})
    found = halvings(product("fixed", m=512, k=512, n=512), chip)
    assert {halving.reason for halving in found.values()} == {"fixed precision"}


def test_a_product_of_few_positions_waits_for_its_weights_whatever_the_inputs_bits():
    found = halvings(product("vector", m=1, k=2048, n=1000), load_accelerator("bitfusion_16x32"))
    assert found["inputs"].reason == "memory bound"
    assert found["weights"].reason == "faster"
    assert 1.8 < found["weights"].gain <= 2.1


def test_three_channels_leave_a_grid_of_many_bricks_under_filled():
    convolution = Convolution(1, 3, 16, (64, 64), (3, 3), pads=(1, 1, 1, 1))
    network = Network("stem", (Layer("stem", convolution, (Tensor("x", (1, 3, 64, 64), 8),), Tensor("y", (1, 16, 64, 64), 8),
                                     weights=Tensor("w", (16, 3, 3, 3), 8, is_constant=True)),), ("y",))
    chip = with_changes(load_accelerator("bitfusion_16x32"), {"dram.bandwidth": "1 TB/s"})
    found = halvings(network, chip)
    assert found["both"].reason == "grid under-filled"


def test_one_position_kernels_of_ne16_take_fewer_bits_no_faster():
    convolution = Convolution(1, 256, 256, (32, 32), (1, 1))
    network = Network("pw", (Layer("pw", convolution, (Tensor("x", (1, 256, 32, 32), 8),), Tensor("y", (1, 256, 32, 32), 8),
                                   weights=Tensor("w", (256, 256, 1, 1), 8, is_constant=True)),), ("y",))
    chip = with_changes(load_accelerator("ne16_gap9"), {"dram.bandwidth": "1 TB/s"})
    table = build_table(network, chip, weight_bits=[4, 8], input_bits=[8], output_bits=[8])
    (halving,) = explain(table).layers[0].halvings
    assert (halving.what, halving.reason) == ("weights", "fixed precision")


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_is_scipys(seed):
    import random

    rng = random.Random(seed)
    first, second = ([rng.randrange(12) for _ in range(20)] for _ in range(2))
    assert spearman(first, second) == pytest.approx(scipy.stats.spearmanr(first, second).statistic, abs=1e-12)


def test_ranks_of_times_that_never_change_have_no_correlation():
    assert spearman([1, 2, 3], [4, 4, 4]) is None


def table_of(cycles):
    """One layer whose times at (weight, input) bits are these."""
    costs = {("fc", OperandBits(w, a, 8)): LayerCost(
        cycles=time, energy_pj=1.0, dram_bytes=1, weight_bytes=1, buffer_peak_bytes=1, bound="compute", macs=10,
        compute_cycles=time, ideal_cycles=time, peak_macs_per_cycle=64 / w / a, effective_weight_bits=8 if w > 4 else 4,
        effective_input_bits=a) for (w, a), time in cycles.items()}
    return LatencyTable(TableHeader("0", "net", "", "chip", "", {}, clock_hz=10**9), ("fc",), costs)


def test_misordered_choices_are_those_that_bops_call_cheaper_and_that_are_slower():
    found = explain(table_of({(8, 8): 100, (4, 8): 120, (8, 4): 60, (4, 4): 70}))
    # Pairs of different BOPs: 4/4 against each of the others, 4/8 and 8/4 against 8/8: 5. Slower though cheaper: 4/8 than
    # 8/8, 4/4 than 8/4.
    assert found.misordered == 2 / 5
    assert found.network == ((4, 4, 160, 70), (4, 8, 320, 120), (8, 4, 320, 60), (8, 8, 640, 100))
    assert found.correlation == pytest.approx(scipy.stats.spearmanr([160, 320, 320, 640], [70, 120, 60, 100]).statistic)
    assert [(halving.what, round(halving.gain, 3)) for halving in found.layers[0].halvings] == [
        ("weights", round(100 / 120, 3)), ("inputs", round(100 / 60, 3)), ("both", round(100 / 70, 3))]


def test_bops_count_the_layers_own_bits_and_rounding_tells_the_hardwares():
    table = table_of({(8, 8): 100, (6, 8): 100, (3, 8): 50})
    cost = table.cost("fc", OperandBits(6, 8, 8))
    assert bit_operations(cost, OperandBits(6, 8, 8)) == 480
    assert rounded_up(table) == {(3, 8): (4, 8), (6, 8): (8, 8)}
    assert rounding_text(table) == "Rounded up by chip: weights of 3 as 4, 6 as 8 bits."


def test_the_sentences_tell_the_whole_network():
    table = table_of({(8, 8): 100, (4, 8): 100, (8, 4): 60, (4, 4): 60})
    assert sentences(explain(table), table) == [
        "1 layer on the PE grid, compared at 8-bit outputs.",
        f"Rank correlation of BOPs with time, by layer: from {_rank():.2f} to {_rank():.2f}, median {_rank():.2f}.",
        f"Whole network, 4 uniform choices: rank correlation {_rank():.2f}; BOPs put 0 % of all pairs of choices in the "
        "wrong order.",
        "Half of the bits of weights (8/8/8 to 4/8/8) gains nothing in 1 of 1 layers: grid under-filled 1.",
        "Half of the bits of inputs (8/8/8 to 8/4/8) gains nothing in 0 of 1 layers.",
        "Half of the bits of weights and inputs (8/8/8 to 4/4/8) gains nothing in 0 of 1 layers."]


def _rank():
    return math.fsum([scipy.stats.spearmanr([64, 32, 32, 16], [100, 100, 60, 60]).statistic])


def test_a_table_without_grid_layers_is_refused():
    table = LatencyTable(TableHeader("0", "net", "", "chip", "", {}, clock_hz=10**9), ("pool",), {
        ("pool", OperandBits(None, 8, 8)): LayerCost(1, 1.0, 1, 1, 1, "compute")})
    with pytest.raises(TableError) as caught:
        explain(table)
    assert str(caught.value) == "net: expected a layer of the PE grid to explain, got none"
