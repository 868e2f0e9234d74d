"""The machine's integers do not depend on the precision kind of its PEs: every kind is exact on operands that it takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import quantized_layers
import random_machines as machines
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import MappingError, NumericsError
from accelsim.hardware import Accelerator, load_accelerator, with_changes
from accelsim.machine.sample_runs import run_samples
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.program import Program
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule
from accelsim.simulation import simulate
from accelsim.workload import Layer, Network, Tensor
from accelsim.workload.input_values import samples
from accelsim.workload.operation import MatMul
from accelsim.workload.quantized_network import ModelInput, ModelOutput, QuantizedLayer, QuantizedNetwork

EDGE = load_accelerator("edge_16x16")
#: Kinds that take 8-bit weights and inputs, the widest of the random layers.
KINDS = (
    {"kind": "fixed", "gated": True}, {"kind": "bit_fusion"}, {"kind": "bit_fusion", "fused_bits": 4, "weight_bits": 8},
    {"kind": "bit_serial", "serial": "weights", "overhead_cycles": 3}, {"kind": "bit_serial", "serial": "both"},
    {"kind": "bit_serial", "serial": "inputs", "bits_per_cycle": 3, "one_bit_reduction": "4/3"},
    {"kind": "codebook", "index_bits": 8},
    {"kind": "subword", "widens": "channels", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": "1/2"},
                                                        {"weight_bits": 4, "input_bits": 8, "macs_per_cycle": 3}]},
    {"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 2},
                                  {"weight_bits": 3, "input_bits": 4, "macs_per_cycle": 5}]},
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_outputs_equal_the_layers_definition_on_every_precision_kind(data):
    layer = data.draw(machines.grid_layers())
    network, arrays = data.draw(quantized_layers.quantized_networks(layer, asymmetric_weights=False))
    kernel = network.layers[layer.name].kernel
    description = data.draw(machines.descriptions())
    description["pe_grid"]["precision"] = data.draw(st.sampled_from(KINDS))
    description["accumulators"] |= {"bits": 40, "overflow": "error"}
    description["requantizer"]["scheme"] = "power_of_two"
    accelerator = Accelerator.model_validate(description)
    tiling = data.draw(machines.tilings(layer, accelerator))
    program = Program((build_grid_program(layer, tiling, accelerator),))
    definition = quantized_layers.Definition(layer, kernel, arrays)
    for tiles_always in (True, False):
        found = run_samples(accelerator, program, network, samples(network, arrays), rule=accelerator.rule,
                            tiles_always=tiles_always)
        for group, m, n, place in definition.outputs():
            expected = definition.requantized(definition.exact(group, m, n), definition.channel(group, n)[2])
            assert found.outputs["y"][0][place] == expected


@pytest.mark.parametrize(("precision", "message"), [
    ({"kind": "binary"}, "at most 1-bit weights and 1-bit inputs"),
    ({"kind": "ternary", "input_bits": 8}, "at most 2-bit weights and 8-bit inputs"),
    ({"kind": "shift_add", "weight_bits": 3}, "at most 3-bit weights and 8-bit inputs"),
    ({"kind": "codebook", "index_bits": 6, "vector_length": 2}, "at most 3-bit weights and 8-bit inputs"),
    ({"kind": "subword", "modes": [{"weight_bits": 4, "input_bits": 2, "macs_per_cycle": 1},
                                   {"weight_bits": 2, "input_bits": 8, "macs_per_cycle": 1}]},
     "at most 4-bit weights and 2-bit inputs or 2-bit weights and 8-bit inputs"),
])
def test_operands_that_the_kind_cannot_hold_are_refused_by_their_width(precision: dict[str, object], message: str) -> None:
    machine = with_changes(load_accelerator("edge_16x16"), {"pe_grid.precision": precision})
    layer = Layer("fc", MatMul(m=8, k=64, n=64), (Tensor("x", (8, 64), 8),), Tensor("y", (8, 64), 8),
                  weights=Tensor("w", (64, 64), 4, is_constant=True))
    with pytest.raises(MappingError) as caught:
        simulate(machine, Network("one", (layer,)))
    assert str(caught.value) == f"fc: expected operands of {message} on edge_16x16, got 4 and 8"
    limit = machine.pe_grid.precision.limits[-1]
    weights = replace(layer.weights, bits=limit[0])
    fitting = replace(layer, weights=weights, inputs=(replace(layer.inputs[0], bits=limit[1]),))
    assert simulate(machine, Network("one", (fitting,))).macs == layer.macs


# Weights that a kind cannot hold -------------------------------------------------------------------------------------------


def params(qtype: QType, zero_point: int = 0) -> QParams:
    return QParams(scale=1.0, zero_point=zero_point, qtype=qtype)


def product_of(x: QType, weights: np.ndarray | None, w: QType, *, weight_zero_point: int = 0) -> QuantizedNetwork:
    """y = x W^T of 6 positions in 16 bits, unscaled; without weights, of two activations."""
    n, k = (4, 9) if weights is None else weights.shape
    y = QType(16, True)
    kernel = GridKernel(weights=None if weights is None else weights[np.newaxis], bias=None, input=params(x),
                        weight=params(w, weight_zero_point), output=params(y), clamp_min=y.min, clamp_max=y.max)
    inputs = [Tensor("x", (1, 6, k), x.bits)] + ([Tensor("v", (1, n, k), w.bits)] if weights is None else [])
    layer = Layer("fc", MatMul(m=6, k=k, n=n), tuple(inputs), Tensor("y", (1, 6, n), 16),
                  weights=None if weights is None else Tensor("w", (n, k), w.bits, is_constant=True),
                  has_asymmetric_weights=bool(weight_zero_point) and weights is not None)
    shapes = tuple(tensor.shape for tensor in layer.inputs)
    kinds = (kernel.input, kernel.weight)
    return QuantizedNetwork(
        Network("one", (layer,), outputs=("y",)), {"fc": QuantizedLayer(kernel, shapes, (1, 6, n), kernel.output)},
        tuple(ModelInput(t.name, t.name, t.shape, kind) for t, kind in zip(layer.inputs, kinds[:len(shapes)], strict=True)),
        (ModelOutput("y", "y", (1, 6, n), kernel.output),), rule=Rule("power_of_two"))


def integers(qtype: QType, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(7).integers(qtype.min, qtype.max, shape, endpoint=True).astype(qtype.dtype)


INT2, INT4, INT8 = QType(2, True), QType(4, True), QType(8, True)
TERNARY = np.array([[-1, 0, 1, 1, 0, -1, 1], [0, 0, 1, -1, -1, 1, 0]])
POWERS = np.array([[-8, 1, 2, 4, -1, -2, -4], [1, 0, 4, -8, -8, 2, -1]])
NIBBLES = np.array([[-8, 7, 0, 3, 5, -3, 6], [1, 2, 3, 4, 5, 6, 7]])


@pytest.mark.parametrize(("precision", "x", "weights", "w", "zero_point"), [
    ({"kind": "ternary", "input_bits": 8}, INT8, TERNARY, INT2, 0),
    ({"kind": "ternary", "input_bits": 8}, INT8, TERNARY, INT2, 1),  # the stored integers are ternary
    ({"kind": "ternary"}, QType(2, False), TERNARY, QType(2, True, is_restricted=True), 0),
    ({"kind": "shift_add"}, INT8, POWERS, INT4, 0),
    ({"kind": "shift_add", "weight_bits": 3}, INT8, np.array([[-4, 1, 2, -2, -1]]), QType(3, True), 0),
    ({"kind": "binary", "input_bits": 8}, INT8, np.full((3, 5), -1), QType(1, True), 0),
    ({"kind": "codebook", "index_bits": 4, "entry_bits": 4}, INT8, NIBBLES, INT4, 0),
    ({"kind": "codebook", "index_bits": 8, "vector_length": 2, "entry_bits": 6}, INT8, NIBBLES, INT4, 0),
    ({"kind": "subword", "modes": [{"weight_bits": 8, "input_bits": 8, "macs_per_cycle": 2},
                                   {"weight_bits": 16, "input_bits": 16, "macs_per_cycle": 1, "is_float": True}]},
     INT8, NIBBLES, INT4, 0),
])
def test_integers_that_a_kind_holds_are_multiplied_exactly(precision, x, weights, w, zero_point) -> None:
    given_x = integers(x, (1, 6, weights.shape[1]))
    network = product_of(x, weights, w, weight_zero_point=zero_point)
    machine = with_changes(EDGE, {"pe_grid.precision": precision, "requantizer.scheme": "power_of_two"})
    result = simulate(machine, network, inputs={"x": given_x})
    expected = [[sum(int(a) * (int(b) - zero_point) for a, b in zip(position, channel, strict=True)) for channel in weights]
                for position in given_x[0]]
    assert result.outputs["y"].tolist() == [[expected]]


FLOAT_MODE = {"kind": "subword", "modes": [{"weight_bits": 4, "input_bits": 4, "macs_per_cycle": 2},
                                           {"weight_bits": 16, "input_bits": 16, "macs_per_cycle": 1, "is_float": True}]}


@pytest.mark.parametrize(("precision", "x", "weights", "w", "message"), [
    ({"kind": "ternary", "input_bits": 8}, INT8, np.array([[1, -2]]), INT2,
     "fc: expected weights -1, 0 and +1 on PEs of precision ternary, got -2"),
    ({"kind": "ternary", "input_bits": 8}, INT8, np.array([[1, 3]]), QType(2, False),
     "fc: expected weights -1, 0 and +1 on PEs of precision ternary, got 3"),
    ({"kind": "shift_add"}, INT8, np.array([[4, 3, 5]]), INT4,
     "fc: expected weights 0 or +-2^0 to +-2^7 on PEs of precision shift_add, got 3"),
    ({"kind": "shift_add", "weight_bits": 2}, INT8, np.array([[1, -2, -1]]), INT2, ""),
    ({"kind": "shift_add", "weight_bits": 2}, INT8, np.array([[0, -2, -2]]), INT2, ""),
    ({"kind": "shift_add", "weight_bits": 2}, INT8, np.array([[1, -2, 0]]), INT2,
     "fc: expected weights of at most 2 sizes, 0 among them, for codes of 2 bits on PEs of precision shift_add, got 3"),
    ({"kind": "binary", "input_bits": 8}, INT8, np.array([[1, 0]]), QType(1, False),
     "fc: expected weights -1 and +1 on PEs of precision binary, got 0"),
    ({"kind": "binary"}, QType(1, False), np.array([[1, 1]]), QType(1, False),
     "fc: expected inputs -1 and +1 on PEs of precision binary, got uint1 (0..1)"),
    ({"kind": "float", "bits": 32}, INT8, NIBBLES, INT4,
     "fc: expected PEs that multiply integers of 4 and 8 bits, got floating point (float)"),
    (FLOAT_MODE, INT8, NIBBLES, INT4,
     "fc: expected PEs that multiply integers of 4 and 8 bits, got floating point (subword)"),
    # A product of two activations: what the second may be is known by its type alone.
    ({"kind": "ternary", "input_bits": 8}, INT8, None, INT2,
     "fc: expected weights -1, 0 and +1 on PEs of precision ternary, got -2"),
    ({"kind": "ternary", "input_bits": 8}, INT8, None, QType(2, True, is_restricted=True), ""),
    ({"kind": "shift_add"}, INT8, None, INT4,
     "fc: expected weights 0 or +-2^0 to +-2^7 on PEs of precision shift_add, got -7"),
    ({"kind": "codebook"}, INT8, None, INT4, ""),
])
def test_integers_that_a_kind_cannot_hold_are_refused_in_one_line(precision, x, weights, w, message: str) -> None:
    network = product_of(x, weights, w)
    machine = with_changes(EDGE, {"pe_grid.precision": precision, "requantizer.scheme": "power_of_two"})
    arrays = {item.name: integers(item.qparams.qtype, item.shape) for item in network.inputs}
    without = simulate(machine, network)  # shapes and widths alone do not tell
    if not message:
        assert simulate(machine, network, inputs=arrays).total_cycles == without.total_cycles
        return
    with pytest.raises(NumericsError) as caught:
        simulate(machine, network, inputs=arrays)
    assert str(caught.value) == message


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_what_is_taken_and_refused_is_what_the_datapath_computes(data):
    """The datapath's logic on a weight's code and an input gives their product; a weight without a code is refused."""
    kind = data.draw(st.sampled_from(("ternary", "shift_add")))
    bits = 2 if kind == "ternary" else data.draw(st.integers(2, 5))
    weights = data.draw(st.lists(st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1), min_size=1, max_size=4))
    precision = {"kind": kind, "input_bits": 8} | ({"weight_bits": bits} if kind == "shift_add" else {})
    machine = with_changes(EDGE, {"pe_grid.precision": precision, "requantizer.scheme": "power_of_two"})
    network, x = product_of(INT8, np.array([weights]), QType(bits, True)), integers(INT8, (1, 6, len(weights)))
    codes = [ternary_code(w) if kind == "ternary" else shift_code(w, bits) for w in weights]
    if None in codes or (kind == "shift_add" and len({exponent for _, exponent in codes}) > 1 << (bits - 1)):
        with pytest.raises(NumericsError):
            simulate(machine, network, inputs={"x": x})
        return
    datapath = ternary_product if kind == "ternary" else shifted_product
    expected = [sum(datapath(code, int(value)) for code, value in zip(codes, position, strict=True)) for position in x[0]]
    assert simulate(machine, network, inputs={"x": x}).outputs["y"].ravel().tolist() == expected


def ternary_code(weight: int) -> tuple[bool, bool] | None:
    """(let through, negate)."""
    return {-1: (True, True), 0: (False, False), 1: (True, False)}.get(weight)


def ternary_product(code: tuple[bool, bool], value: int) -> int:
    passes, negates = code
    through = value if passes else 0
    return ~through + 1 if negates else through


def shift_code(weight: int, bits: int) -> tuple[bool, int | None] | None:
    """(sign, exponent) of which one holds the weight; no exponent for 0."""
    if weight == 0:
        return False, None
    for exponent in range(1 << (bits - 1)):
        if abs(weight) == 1 << exponent:
            return weight < 0, exponent
    return None


def shifted_product(code: tuple[bool, int | None], value: int) -> int:
    is_negative, exponent = code
    shifted = 0 if exponent is None else value << exponent
    return ~shifted + 1 if is_negative else shifted


# Codes in memory, integers behind them -------------------------------------------------------------------------------------


def coded(network: QuantizedNetwork, bits: int) -> QuantizedNetwork:
    """The network with weights that take so many bits in memory, whatever their integers take in the PEs."""
    (layer,) = network.network.layers
    coded_layer = replace(layer, weights=replace(layer.weights, bits=bits))
    return replace(network, network=Network("one", (coded_layer,), outputs=("y",)))


BIG_POWERS = np.array([[-128, 64, 0, 1, 2, -2, 32], [1, 0, 0, 128, 64, -64, 8]])
CROWD = np.array([[1, 2, 3, 4, 7], [8, 9, 5, 6, 1]])  # a fifth pair begins with 7
PAIRS = np.array([[90, -3, 7, 7, 90, -3, 5], [7, 7, 7, 7, 90, -3, 5]])  # (90, -3), (7, 7) and (5, nothing)


@pytest.mark.parametrize(("precision", "weights", "bits", "message"), [
    ({"kind": "shift_add", "weight_bits": 4}, BIG_POWERS, 4, ""),  # 0, 1, 2, 8, 32, 64, 128
    ({"kind": "shift_add", "weight_bits": 3}, BIG_POWERS, 3,
     "fc: expected weights 0 or +-2^0 to +-2^3 on PEs of precision shift_add, got -128"),
    ({"kind": "codebook", "index_bits": 3, "entry_bits": 9}, BIG_POWERS, 3,
     "fc: expected at most 8 different weights on PEs of precision codebook, got 10"),
    ({"kind": "codebook", "index_bits": 4, "entry_bits": 9}, BIG_POWERS, 4, ""),
    ({"kind": "codebook", "index_bits": 4, "entry_bits": 4}, BIG_POWERS, 4,
     "fc: expected weights -8..7, which an entry of 4 bits holds, on PEs of precision codebook, got -128"),
    ({"kind": "codebook", "index_bits": 4, "entry_bits": 8}, BIG_POWERS, 4,
     "fc: expected weights -128..127, which an entry of 8 bits holds, on PEs of precision codebook, got 128"),
    ({"kind": "codebook", "index_bits": 2, "vector_length": 2, "entry_bits": 8}, PAIRS, 1, ""),
    ({"kind": "codebook", "index_bits": 2, "vector_length": 2, "entry_bits": 8}, CROWD, 1,
     "fc: expected at most 4 different vectors of 2 weights on PEs of precision codebook, got 5"),
    ({"kind": "binary", "input_bits": 8}, np.array([[-1, 1, 1, -1]]), 1, ""),
    # Other kinds have nothing that decodes.
    ({"kind": "fixed"}, BIG_POWERS, 4,
     "fc: expected weights -8..7, which a width of 4 bits holds, on PEs of precision fixed, got -128"),
    ({"kind": "bit_fusion"}, np.array([[-1, 1, 1, -1]]), 1,
     "fc: expected weights -1..0, which a width of 1 bits holds, on PEs of precision bit_fusion, got 1"),
])
def test_codes_move_and_their_integers_are_multiplied(precision, weights, bits: int, message: str) -> None:
    network = coded(product_of(INT8, weights, QType(9, True)), bits)
    machine = with_changes(EDGE, {"pe_grid.precision": precision, "requantizer.scheme": "power_of_two"})
    x = integers(INT8, (1, 6, weights.shape[1]))
    if message:
        with pytest.raises(NumericsError) as caught:
            simulate(machine, network, inputs={"x": x})
        assert str(caught.value) == message
        return
    result = simulate(machine, network, inputs={"x": x})
    assert result.outputs["y"].tolist() == [(x.astype(int) @ weights.T).clip(-2**15, 2**15 - 1).tolist()]
    assert result.layers[0].counts.dram_read_bytes["weights"] == -(-weights.size * bits // 8)
