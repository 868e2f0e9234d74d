"""What the machine executes for coded weights: integers that give x @ decode(), index widths in DRAM, every PE kind."""

from dataclasses import replace

import numpy as np
import pytest
from quantized_executor import run_network

from accelsim import simulate
from accelsim.errors import NumericsError
from accelsim.hardware import load_accelerator, with_changes
from accelsim.hardware.precision_integers import integers_mistake
from accelsim.numerics.arrangement import Arrangement
from accelsim.numerics.exact_product import matrix_product
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.kernels.addition import AdditionKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule
from accelsim.quantization.nonuniform.additive_powers import AdditivePowers
from accelsim.quantization.nonuniform.binary import Binary
from accelsim.quantization.nonuniform.binary_code import BinaryCode
from accelsim.quantization.nonuniform.codebook import Codebook
from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights
from accelsim.quantization.nonuniform.power_of_two import PowerOfTwo
from accelsim.quantization.nonuniform.product_quantization import ProductQuantization
from accelsim.quantization.nonuniform.ternary import Ternary
from accelsim.workload import Layer, Network, Tensor
from accelsim.workload.operation import Convolution, Elementwise, MatMul
from accelsim.workload.quantized_network import ModelInput, ModelOutput, QuantizedLayer, QuantizedNetwork

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(1, 24, 48)) * RNG.lognormal(0, 0.4, (1, 24, 1))
X = QParams(scale=2.0**-5, zero_point=0, qtype=QType(8, True))
EDGE = load_accelerator("edge_16x16")


def product_quantization(per_channel, **options):
    return ProductQuantization.fit(WEIGHTS, generator=np.random.default_rng(1), per_channel=per_channel, **options)


#: name -> (the coded weights for one scale a tensor or a channel, whether lowering is exact).
METHODS = {
    "power_of_two": (lambda per_channel: PowerOfTwo.fit(WEIGHTS, bits=4, per_channel=per_channel), True),
    "power_of_two_fitted": (lambda per_channel: PowerOfTwo.fit(WEIGHTS, bits=3, scale="fitted", domain="log",
                                                               per_channel=per_channel), True),
    "additive_powers": (lambda per_channel: AdditivePowers.fit(WEIGHTS, bits=5, per_channel=per_channel), True),
    "additive_powers_odd": (lambda per_channel: AdditivePowers.fit(WEIGHTS, bits=4, threshold="fitted",
                                                                   per_channel=per_channel), True),
    "binary": (lambda per_channel: Binary.fit(WEIGHTS, per_channel=per_channel), True),
    "ternary": (lambda per_channel: Ternary.fit(WEIGHTS, per_channel=per_channel), True),
    "binary_code": (lambda per_channel: BinaryCode.fit(WEIGHTS, bits=3,
                                                       alphas="shared" if per_channel else "tensor"), False),
    "codebook": (lambda per_channel: Codebook.fit(WEIGHTS, bits=4, per_channel=per_channel), False),
    "vectors": (lambda per_channel: product_quantization(per_channel, vector_length=4, index_bits=4), False),
    "vectors_in_stages": (lambda per_channel: product_quantization(per_channel, vector_length=2, index_bits=4, stages=2),
                          False),
}


def outputs_of(lowered, integers):
    """``x @ weights`` from the integers alone: exact sums, then the scales."""
    sums = matrix_product(integers, lowered.integers)
    return sums * X.scale * np.broadcast_to(lowered.qparams.scale, lowered.integers.shape[1])


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_the_integers_give_the_outputs_of_the_decoded_weights(name, per_channel):
    fit, is_exact = METHODS[name]
    coded = fit(per_channel)
    lowered = coded.lower()
    assert lowered.qparams.scale.shape == ((24,) if per_channel else ())
    np.testing.assert_array_equal(lowered.qparams.scale.astype(np.float32), lowered.qparams.scale)
    integers = np.random.default_rng(2).integers(-128, 128, (1, 30, 48))
    exact = integers * float(X.scale) @ coded.decode()[0].T
    if is_exact:
        # Numbers of 24 bits times integers of 8 and 8 bits, 48 of them: nothing is rounded in float64 either.
        np.testing.assert_array_equal(lowered.decode(), coded.decode())
        np.testing.assert_array_equal(outputs_of(lowered, integers), exact)
    else:
        half_step = np.broadcast_to(lowered.qparams.scale, 24)[None, :, None] / 2
        assert np.all(np.abs(lowered.decode() - coded.decode()) <= half_step * (1 + 1e-4))
        bound = np.abs(integers[0] * float(X.scale)).sum(axis=1)[:, None] * half_step[0, :, 0]
        assert np.all(np.abs(outputs_of(lowered, integers)[0] - exact[0]) <= bound * (1 + 1e-4))


@pytest.mark.parametrize("name", ["binary_code", "codebook", "vectors", "vectors_in_stages"])
def test_wider_entries_lose_less_and_sixteen_bits_nearly_nothing(name):
    coded = METHODS[name][0](True)
    losses = [np.abs(coded.lower(entry_bits=bits).decode() - coded.decode()).max() for bits in (4, 8, 12, 16)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[1] / 100
    # At 8 bits the loss is far below the error of the few codes.
    assert np.sum((coded.lower().decode() - coded.decode()) ** 2) < 0.02 * coded.squared_error(WEIGHTS)


def test_the_table_that_the_machine_reads_gives_the_integers():
    for name in ("codebook", "binary_code", "additive_powers"):
        coded = METHODS[name][0](True)
        lowered = coded.lower()
        np.testing.assert_array_equal(lowered.table[coded.codes, 0], lowered.integers)
        assert coded.codes.max() < 2**lowered.index_bits
    coded = product_quantization(False, vector_length=2, index_bits=4, stages=2)
    lowered = coded.lower()
    index = coded.codes[0] * 16 + coded.codes[1]
    np.testing.assert_array_equal(lowered.table[index].reshape(1, 24, 48), lowered.integers)
    assert (lowered.index_bits, lowered.weight_bits, lowered.table.shape) == (8, 4, (256, 2))


@pytest.mark.parametrize("alphas", ["tensor", "shared", "channel"])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_planes_of_a_binary_code_add_up_to_the_decoded_weights(alphas, bits):
    coded = BinaryCode.fit(WEIGHTS, bits=bits, alphas=alphas)
    planes = coded.lower_planes()
    assert [plane.precision_kind for plane in planes] == ["binary"] * bits
    integers = np.random.default_rng(3).integers(-128, 128, (1, 30, 48))
    total = sum(outputs_of(plane, integers) for plane in planes)
    np.testing.assert_allclose(total, integers * float(X.scale) @ coded.decode()[0].T, rtol=0, atol=1e-5)
    np.testing.assert_allclose(sum(plane.decode() for plane in planes), coded.decode(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("bits", [4, 5, 7])
def test_terms_of_additive_powers_add_up_in_one_accumulator(bits):
    coded = AdditivePowers.fit(WEIGHTS, bits=bits, per_channel=True)
    terms = coded.lower_terms()
    assert {term.precision_kind for term in terms} == {"shift_add"}
    np.testing.assert_array_equal(sum(term.integers.astype(int) for term in terms), coded.lower().integers)
    assert all(term.qparams.scale is not None and np.array_equal(term.qparams.scale, coded.scale) for term in terms)
    assert [term.index_bits for term in terms] == {4: [3, 2], 5: [3, 3], 7: [3, 3, 3]}[bits]
    for term in terms:
        network = network_of(term)
        precision = on_machine(term).pe_grid.precision
        assert integers_mistake(precision, network.layers["fc"].kernel, weight_bits=term.weight_bits) == ""
    integers = np.random.default_rng(4).integers(-128, 128, (1, 30, 48))
    np.testing.assert_array_equal(sum(outputs_of(term, integers) for term in terms),
                                  integers * float(X.scale) @ coded.decode()[0].T[None])


def test_stages_of_vectors_add_up_within_the_rounding_of_their_tables():
    coded = product_quantization(True, vector_length=4, index_bits=4, stages=3)
    stages = coded.lower_stages(entry_bits=12)
    bound = sum(np.reshape(stage.qparams.scale, (1, 24, 1)) / 2 for stage in stages)
    assert np.all(np.abs(sum(stage.decode() for stage in stages) - coded.decode()) <= bound * (1 + 1e-3))


# On the machine ------------------------------------------------------------------------------------------------------------


def matrix_of(rows, columns):
    return Arrangement(shape=(rows, columns), order=(0, 1), batch_rank=0, rows_rank=1)


def network_of(lowered, *, positions=20, input_bits=8, rule="float32_nearest_even"):
    """One fully connected layer of lowered weights with 16-bit outputs."""
    _groups, n, k = lowered.integers.shape
    x = QParams(scale=2.0**-5, zero_point=0, qtype=QType(input_bits, True))
    largest = float(np.abs(lowered.decode()).sum(axis=2).max() * x.scale * 2 ** (input_bits - 1))
    y = QParams(scale=np.float32(largest / 2**15), zero_point=0, qtype=QType(16, True))
    kernel = GridKernel(weights=lowered.integers, bias=None, input=x, weight=lowered.qparams, output=y, clamp_min=-2**15,
                        clamp_max=2**15 - 1, streamed=matrix_of(positions, k), written=matrix_of(positions, n))
    layer = Layer("fc", MatMul(m=positions, k=k, n=n), (Tensor("x", (positions, k), input_bits),),
                  Tensor("y", (positions, n), 16), weights=Tensor("w", (n, k), lowered.weight_bits, is_constant=True))
    return QuantizedNetwork(
        Network("one", (layer,), outputs=("y",)),
        {"fc": QuantizedLayer(kernel, ((1, positions, k),), (1, positions, n), y)},
        (ModelInput("x", "x", (1, positions, k), x),), (ModelOutput("y", "y", (1, positions, n), y),), rule=Rule(rule))


def on_machine(lowered, *, input_bits=8, **changes):
    return with_changes(EDGE, {"pe_grid.precision": lowered.precision(input_bits=input_bits),
                               "requantizer.scheme": "float32_nearest_even", **changes})


def by_definition(network, integers):
    """ONNX: round half to even of float32(sum) times float32(float32(s_x s_w) / s_y), saturated."""
    kernel = network.layers["fc"].kernel
    sums = integers[0].astype(np.int64) @ kernel.weights[0].astype(np.int64).T
    scale = np.float32(kernel.input.scale) * kernel.weight.scale.astype(np.float32) / np.float32(kernel.output.scale)
    return np.clip(np.rint(sums.astype(np.float32) * scale), -2**15, 2**15 - 1)[None]


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_the_machine_executes_the_integers_and_moves_the_codes(name, per_channel):
    coded = METHODS[name][0](per_channel)
    lowered = coded.lower()
    network = network_of(lowered)
    integers = np.random.default_rng(5).integers(-128, 128, (1, 20, 48), dtype=np.int8)
    result = simulate(on_machine(lowered), network, inputs={"x": integers})
    outputs = result.outputs["y"][0].reshape(1, 20, 24)
    np.testing.assert_array_equal(outputs, by_definition(network, integers))
    np.testing.assert_array_equal(outputs, run_network(network, {"x": integers})["y"].reshape(1, 20, 24))
    layer = result.layers[0]
    assert layer.counts.dram_read_bytes["weights"] == -(-24 * 48 * lowered.weight_bits // 8)
    if lowered.precision_kind == "codebook":
        assert layer.quantization.codebook_reads % (24 * 48 // lowered.vector_length) == 0  # each fold reads its weights
        assert layer.executed_weight_bits == lowered.entry_bits
    else:
        assert layer.executed_weight_bits == lowered.weight_bits
    # What the outputs mean: the real product of the lowered weights, up to half an output step.
    meant = (integers[0] * 2.0**-5) @ lowered.decode()[0].T
    assert np.all(np.abs(outputs[0] * float(network.outputs[0].qparams.scale) - meant)
                  <= float(network.outputs[0].qparams.scale) * 0.51)


@pytest.mark.parametrize(("name", "input_bits"), [("binary", 2), ("binary", 4), ("ternary", 2), ("power_of_two", 5)])
def test_narrow_inputs_go_with_narrow_weights(name, input_bits):
    lowered = METHODS[name][0](True).lower()
    network = network_of(lowered, input_bits=input_bits)
    low, high = -2 ** (input_bits - 1), 2 ** (input_bits - 1)
    integers = np.random.default_rng(6).integers(low, high, (1, 20, 48), dtype=np.int8)
    result = simulate(on_machine(lowered, input_bits=input_bits), network, inputs={"x": integers})
    np.testing.assert_array_equal(result.outputs["y"][0].reshape(1, 20, 24), by_definition(network, integers))
    assert result.layers[0].counts.dram_read_bytes["weights"] == 24 * 48 * lowered.weight_bits // 8


def test_a_machine_with_a_smaller_table_refuses_the_layer():
    lowered = METHODS["codebook"][0](False).lower()
    small = with_changes(EDGE, {"pe_grid.precision": lowered.precision(input_bits=8) | {"index_bits": 3}})
    with pytest.raises(Exception, match="expected operands of at most 3-bit weights and 8-bit inputs"):
        simulate(small, network_of(lowered).network)


def test_a_grouped_convolution_of_ternary_weights_runs_like_its_float_convolution():
    """Groups, windows and channels: weights (groups, N, K), K in (r, s, c) order."""
    weights = np.random.default_rng(7).normal(size=(2, 4, 27))
    lowered = Ternary.fit(weights, per_channel=True).lower()
    operation = Convolution(batch=1, in_channels=6, out_channels=8, in_size=(6, 5), kernel=(3, 3), pads=(1, 1, 1, 1),
                            groups=2)
    y = QParams(scale=0.125, zero_point=3, qtype=QType(16, True))
    kernel = GridKernel(weights=lowered.integers, bias=None, input=X, weight=lowered.qparams, output=y, clamp_min=-2**15,
                        clamp_max=2**15 - 1)
    layer = Layer("conv", operation, (Tensor("x", (1, 6, 6, 5), 8),), Tensor("y", (1, 8, 6, 5), 16),
                  weights=Tensor("w", (8, 3, 3, 3), lowered.weight_bits, is_constant=True))
    network = QuantizedNetwork(Network("one", (layer,), outputs=("y",)),
                               {"conv": QuantizedLayer(kernel, ((1, 6, 6, 5),), (1, 8, 6, 5), y)},
                               (ModelInput("x", "x", (1, 6, 6, 5), X),), (ModelOutput("y", "y", (1, 8, 6, 5), y),),
                               rule=Rule("float32_nearest_even"))
    image = np.random.default_rng(8).integers(-128, 128, (1, 6, 6, 5), dtype=np.int8)
    result = simulate(on_machine(lowered), network, inputs={"x": image})
    decoded, padded = lowered.decode(), np.pad(image.astype(float) * float(X.scale), ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = np.zeros((1, 8, 6, 5))
    for o, p, q in np.ndindex(8, 6, 5):
        window = padded[0, 3 * (o // 4):3 * (o // 4) + 3, p:p + 3, q:q + 3]
        expected[0, o, p, q] = np.sum(window.transpose(1, 2, 0).ravel() * decoded[o // 4, o % 4])
    # A product within the float32 rounding of a tie may go either way.
    away = np.abs(expected / 0.125 % 1 - 0.5) > 1e-4
    np.testing.assert_array_equal(result.outputs["y"][0][away], (np.rint(expected / 0.125) + 3)[away])
    assert away.mean() > 0.99


def test_two_binary_planes_and_an_addition_run_as_a_network():
    """A code with alphas of each channel on a machine without tables: one layer a plane, outputs on one 16-bit grid."""
    coded = BinaryCode.fit(WEIGHTS, bits=2, alphas="channel")
    planes = coded.lower_planes()
    y = QParams(scale=2.0**-7, zero_point=0, qtype=QType(16, True))
    layers, kernels = [], {}
    for place, plane in enumerate(planes):
        kernel = replace(network_of(plane).layers["fc"].kernel, output=y)
        layers.append(Layer(f"plane{place}", MatMul(m=20, k=48, n=24), (Tensor("x", (20, 48), 8),),
                            Tensor(f"y{place}", (20, 24), 16), weights=Tensor(f"w{place}", (24, 48), 1, is_constant=True)))
        kernels[f"plane{place}"] = QuantizedLayer(kernel, ((1, 20, 48),), (1, 20, 24), y)
    layers.append(Layer("sum", Elementwise("add", (20, 24)), tuple(layer.output for layer in layers),
                        Tensor("y", (20, 24), 16)))
    kernels["sum"] = QuantizedLayer(AdditionKernel((y, y), y, -2**15, 2**15 - 1, (1, 1)), ((1, 20, 24),) * 2, (1, 20, 24), y)
    network = QuantizedNetwork(Network("planes", tuple(layers), outputs=("y",)), kernels,
                               (ModelInput("x", "x", (1, 20, 48), X),), (ModelOutput("y", "y", (1, 20, 24), y),),
                               rule=Rule("float32_nearest_even"))
    integers = np.random.default_rng(9).integers(-128, 128, (1, 20, 48), dtype=np.int8)
    result = simulate(on_machine(planes[0]), network, inputs={"x": integers})
    meant = integers[0] * float(X.scale) @ coded.decode()[0].T
    # Two outputs rounded instead of one: at most half a step each.
    assert np.abs(result.outputs["y"][0].reshape(20, 24) * float(y.scale) - meant).max() <= float(y.scale) * 1.01
    assert [layer.counts.dram_read_bytes.get("weights", 0) for layer in result.layers] == [144, 144, 0]


# Refusals ------------------------------------------------------------------------------------------------------------------


def codebook_of(**changes):
    grid = QParams(scale=1.0, zero_point=0, qtype=QType(8, True))
    fields = {"integers": np.zeros((1, 1, 4), np.int8), "qparams": grid, "index_bits": 4, "precision_kind": "codebook",
              "table": np.zeros((2, 1), np.int8)}
    return LoweredWeights(**(fields | changes))


@pytest.mark.parametrize(("changes", "message"), [
    ({"index_bits": 17}, "index_bits: expected an index of at most 16 bits for a codebook PE, got 17"),
    ({"index_bits": 6, "vector_length": 4, "table": np.zeros((2, 4), np.int8)},
     "index_bits: expected whole bits a weight: an index of a multiple of the vector's 4 weights, got 6 bits"),
    ({"table": None}, "table: expected entries of 1 weights"),
    ({"table": np.zeros((17, 1), np.int8)}, "table: expected at most 16 entries, got 17"),
    ({"index_bits": 9}, "entry_bits: expected entries of at least the 9 bits of an index a weight, got 8"),
    ({"integers": np.full((1, 1, 4), 300)}, "integers: expected -128..127 (int8), got 300..300"),
    ({"precision_kind": "shift_add", "index_bits": 7},
     "index_bits: expected codes of 2 to 6 bits for a shift_add PE, got 7"),
])
def test_codes_that_a_pe_kind_does_not_have_are_refused(changes, message):
    with pytest.raises(NumericsError) as caught:
        codebook_of(**changes)
    assert str(caught.value) == message


@pytest.mark.parametrize(("lower", "message"), [
    (lambda: BinaryCode.fit(WEIGHTS, bits=2, alphas="channel").lower(),
     'alphas: expected alphas that all channels share, for the one table of a codebook PE, got alphas of each of 24 '
     'channels: fit "shared" ones, or lower to planes'),
    (lambda: product_quantization(False, vector_length=4, index_bits=3, tables="position").lower(),
     "tables: expected one table for the layer, as a codebook PE has, got one for each of 12 positions"),
    (lambda: product_quantization(False, vector_length=4, index_bits=6).lower(),
     "index_bits: expected whole bits a weight: an index of a multiple of the vector's 4 weights, got 6 bits"),
    (lambda: product_quantization(False, vector_length=4, index_bits=6, stages=3).lower(),
     "index_bits: expected an index of at most 16 bits for a codebook PE, got 3 stages of 6: lower to stages"),
    (lambda: Codebook.fit(WEIGHTS, bits=4).lower(entry_bits=33), "entry_bits: expected 2 to 32, got 33"),
    (lambda: Codebook.fit(WEIGHTS, bits=4).lower(entry_bits=3),
     "entry_bits: expected entries of at least the 4 bits of an index a weight, got 3"),
])
def test_codes_that_no_machine_has_do_not_lower(lower, message):
    with pytest.raises(NumericsError) as caught:
        lower()
    assert str(caught.value) == message
