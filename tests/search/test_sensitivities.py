"""Measures of sensitivity against plain computations of the same formulas."""


import numpy as np
import pytest

from accelsim.errors import SearchError, WorkloadError
from accelsim.quantization.error_measures import mean_squared_error, softmax_divergence, sqnr_db
from accelsim.quantization.fake_quantization import fake_quantize
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placing import place
from accelsim.quantization.switched_session import SwitchedSession
from accelsim.search.operand import Operand
from accelsim.search.samples import Samples
from accelsim.search.sensitivities import fisher
from accelsim.search.sensitivities.given import read_sensitivities, sensitivity_rows
from accelsim.search.sensitivities.hessian_trace import hessian_sensitivity, read_traces
from accelsim.search.sensitivities.measurement import Measurement
from accelsim.search.sensitivities.measures import MEASURES, sensitivity_terms
from accelsim.search.space import SearchSpace
from accelsim.search.space_options import SpaceOptions
from accelsim.search.width_models import WidthModels, search_policy
from accelsim.workload.onnx.graph import GraphInput, Node

GENERATOR = np.random.default_rng(11)
W1 = GENERATOR.normal(size=(4, 6)).astype(np.float32)
W2 = GENERATOR.normal(size=(6, 3)).astype(np.float32)
X = GENERATOR.normal(size=(40, 4)).astype(np.float32)
LABELS = GENERATOR.integers(0, 3, 40)


def network():
    """x . W1, ReLU, . W2."""
    nodes = (Node("Gemm", "fc1", ("x", "w1"), ("h",)), Node("Relu", "relu", ("h",), ("r",)),
             Node("Gemm", "fc2", ("r", "w2"), ("y",)))
    return FloatModel("net", nodes, {"w1": W1, "w2": W2}, {"x": GraphInput(("n", 4), 1)}, ("y",))


def logits_of(*, w1=W1, w2=W2, quantized=lambda hidden: hidden, x=X):
    hidden = quantized(np.maximum(x.astype(np.float64) @ w1, 0).astype(np.float32))
    return hidden.astype(np.float64) @ w2


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(path, x=X, label=LABELS)
    model = network()
    space = SearchSpace.of(model, place(model), SpaceOptions(weight_bits=(2, 4), activation_bits=(2, 4), fixed={}))
    models = WidthModels.of(model, path, search_policy(), (2, 4, 8))
    samples = Samples.load(path, model)
    asked = {operand: space.widths_of(operand) for operand in space.free_operands}
    return space, models, samples, Measurement(models, asked, samples)


def test_labels_are_read_beside_the_inputs(parts):
    assert parts[2].labels.tolist() == LABELS.tolist()
    assert parts[2].count == 40
    assert np.array_equal(parts[2].arrays()["x"], X)


def test_the_session_runs_the_float_network_bit_for_bit_when_all_switches_are_off(parts):
    model = network()
    session = SwitchedSession(model, place(model))
    assert np.array_equal(session.run({"x": X})["y"], model.run({"x": X})["y"])


def test_a_switched_operand_is_quantized_and_the_others_are_not(parts):
    _, models, _, measurement = parts
    w2 = models.weights("fc2", 2)[0].T
    found = measurement.session.run({"x": X}, weights={"fc2": models.weights("fc2", 2)})["y"]
    assert np.allclose(found, logits_of(w2=w2), atol=1e-5)
    grid = models.grid("r", 2)
    found = measurement.session.run({"x": X}, grids={"r": grid})["y"]
    assert np.allclose(found, logits_of(quantized=lambda hidden: fake_quantize(hidden, grid)), atol=1e-5)


def test_mean_squared_error_and_noise_to_signal_are_those_of_the_values(parts):
    _, models, _, measurement = parts
    error, noise = MEASURES["mse"](measurement), MEASURES["sqnr"](measurement)
    hidden = np.maximum(X @ W1, 0)
    for bits in (2, 4):
        quantized = models.weights("fc1", bits)[0].T
        assert error[Operand("weights", "fc1")][bits] == pytest.approx(mean_squared_error(W1, quantized), rel=1e-9)
        assert noise[Operand("weights", "fc1")][bits] == pytest.approx(10 ** (-sqnr_db(W1, quantized) / 10), rel=1e-9)
        quantized = fake_quantize(hidden, models.grid("r", bits))
        assert error[Operand("activations", "r")][bits] == pytest.approx(mean_squared_error(hidden, quantized), rel=1e-5)
        assert noise[Operand("activations", "r")][bits] == pytest.approx(10 ** (-sqnr_db(hidden, quantized) / 10), rel=1e-5)


def test_the_divergence_is_that_of_the_outputs_with_one_operand_quantized(parts):
    _, models, _, measurement = parts
    found = MEASURES["kl"](measurement)
    for bits in (2, 4):
        changed = logits_of(w1=models.weights("fc1", bits)[0].T)
        assert found[Operand("weights", "fc1")][bits] == pytest.approx(softmax_divergence(logits_of(), changed), rel=1e-3)
    assert found[Operand("weights", "fc1")][2] > found[Operand("weights", "fc1")][4] > 0


def test_loss_and_accuracy_are_measured_against_the_labels(parts):
    _, models, _, measurement = parts
    loss, accuracy = MEASURES["loss"](measurement), MEASURES["accuracy"](measurement)
    changed = logits_of(w2=models.weights("fc2", 2)[0].T)

    def entropy(logits):
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -logs[np.arange(40), LABELS].mean()

    operand = Operand("weights", "fc2")
    assert loss[operand][2] == pytest.approx(max(0, entropy(changed) - entropy(logits_of())), rel=1e-3, abs=1e-6)
    right = [(logits.argmax(axis=1) == LABELS).mean() for logits in (logits_of(), changed)]
    assert accuracy[operand][2] == pytest.approx(max(0, right[0] - right[1]), abs=1e-12)


def test_fisher_information_is_the_mean_square_of_exact_slopes(parts):
    _, models, _, measurement = parts
    found = MEASURES["fisher"](measurement)
    moved = models.weights("fc2", 4)[0].T - W2
    hidden = np.maximum(X.astype(np.float64) @ W1, 0)
    logits = hidden @ W2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # d log p_y = d logit_y - sum_j p_j d logit_j, exactly.
    change = hidden @ moved
    slopes = change - (p * change).sum(axis=1, keepdims=True)
    expected = 0.5 * (p * slopes**2).sum(axis=1).mean()
    assert found[Operand("weights", "fc2")][4] == pytest.approx(expected, rel=1e-2)
    # To second order it is the divergence.
    assert expected == pytest.approx(softmax_divergence(logits, logits + change), rel=0.5)
    assert fisher.STEP < 1


def test_hessian_sensitivity_is_trace_times_squared_error(parts, tmp_path):
    _, models, _, measurement = parts
    path = tmp_path / "traces.csv"
    path.write_text("layer,operand,trace\nfc1,weights,0.5\nfc2,,2\nfc1,activations,3\nx,activations,1\ny,activations,1\n")
    traces = read_traces(path, {"fc1": "r", "r": "r", "x": "x", "y": "y"})
    assert traces == {Operand("weights", "fc1"): 0.5, Operand("weights", "fc2"): 2.0, Operand("activations", "r"): 3.0,
                      Operand("activations", "x"): 1.0, Operand("activations", "y"): 1.0}
    found = hessian_sensitivity(measurement, traces)
    moved = models.weights("fc2", 2)[0].T.astype(np.float64) - W2
    assert found[Operand("weights", "fc2")][2] == pytest.approx(2 * (moved**2).sum(), rel=1e-9)
    hidden = np.maximum(X @ W1, 0)
    error = np.square(hidden.astype(np.float64) - fake_quantize(hidden, models.grid("r", 2))).sum() / 40
    assert found[Operand("activations", "r")][2] == pytest.approx(3 * error, rel=1e-5)


@pytest.mark.parametrize("missing", ["fc1 weights", "x activations"])
def test_an_operand_without_a_trace_is_refused(parts, missing):
    _, _, _, measurement = parts
    traces = {operand: 1.0 for operand in measurement.asked if str(operand) != missing}
    with pytest.raises(SearchError) as caught:
        hessian_sensitivity(measurement, traces)
    assert str(caught.value) == f"{missing}: expected the trace of its Hessian, got none"


def test_sensitivities_written_are_those_read_again(parts, tmp_path):
    _, _, _, measurement = parts
    costs = MEASURES["sqnr"](measurement)
    path = tmp_path / "own.csv"
    rows = sensitivity_rows(costs)
    path.write_text("\n".join([",".join(rows[0]), *(",".join(str(cell) for cell in row.values()) for row in rows)]))
    assert read_sensitivities(path, measurement.asked, {"x": "x", "r": "r", "fc1": "r", "y": "y"}) == costs


HEAD = "layer,operand,bits,sensitivity\n"


@pytest.mark.parametrize(("text", "line"), [
    ("layer,bits\n", ":1: expected the columns layer, operand, bits, sensitivity, got none called operand"),
    (HEAD + "fc1,weights,2,nan\n", ":2: fc1: expected a sensitivity of at least 0, got nan"),
    (HEAD + "fc1,weights,2,-1\n", ":2: fc1: expected a sensitivity of at least 0, got -1"),
    (HEAD + "fc1,weights,2,high\n", ':2: fc1: expected a sensitivity, got "high"'),
    (HEAD + "fc1,weights,two,1\n", ':2: fc1: expected a number of bits, got "two"'),
    (HEAD + "fc1,bias,2,1\n", ':2: operand: expected weights or activations, got "bias"'),
    (HEAD + "fc1,weights,2,1\nfc1,weights,2,1\n", ":3: a second row of fc1 weights at 2 bits"),
    (HEAD + "rr,activations,2,1\n", ':2: expected a tensor or layer of the network, got "rr"'),
    (HEAD + "fc1,weights,2,1\n", ": expected a sensitivity of fc1 weights at 4 bits, got none"),
])
def test_a_wrong_file_of_sensitivities_is_told_in_one_line(tmp_path, text, line):
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(SearchError) as caught:
        read_sensitivities(path, {Operand("weights", "fc1"): (2, 4)}, {"r": "r"})
    assert str(caught.value).startswith(f"{path}{line}")


def test_a_sensitivity_that_is_nan_or_missing_is_told_with_its_operand(parts):
    space, _, _, measurement = parts
    costs = MEASURES["mse"](measurement)
    terms = sensitivity_terms(space, costs)
    assert len(terms) == len(space.free_operands)
    operand = Operand("weights", "fc1")
    with pytest.raises(SearchError) as caught:
        sensitivity_terms(space, {**costs, operand: {2: float("nan"), 4: 1.0}})
    assert str(caught.value) == "fc1 weights: expected a finite sensitivity at 2 bits, got nan"
    with pytest.raises(SearchError) as caught:
        sensitivity_terms(space, {name: widths for name, widths in costs.items() if name != operand})
    assert str(caught.value) == "fc1 weights: expected a finite sensitivity at 2 bits, got none"


def test_labels_of_another_number_are_refused(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=X, label=LABELS[:7])
    with pytest.raises(WorkloadError) as caught:
        Samples.load(path, network())
    assert str(caught.value) == f"{path}: expected one label a sample, got 7 for 40 samples"


@pytest.mark.parametrize("measure", ["loss", "accuracy"])
def test_a_label_that_the_network_has_no_class_for_is_refused(parts, measure):
    _, models, samples, measurement = parts
    wrong = Samples(samples.batches, np.where(LABELS == 2, 3, LABELS), "data.npz")
    with pytest.raises(WorkloadError) as caught:
        MEASURES[measure](Measurement(models, measurement.asked, wrong))
    assert str(caught.value) == "data.npz: label: expected labels from 0 to 2, the classes of the network, got 3"


def test_a_mixed_network_is_the_one_that_its_policy_gives(parts):
    from accelsim.quantization.quantize import quantize

    space, models, samples, _ = parts
    assignment = {name: choices[number % len(choices)] for number, (name, choices) in enumerate(space.choices.items())}
    policy = space.policy(assignment, search_policy(), name="mixed")
    expected = quantize(network(), samples.arrays(), policy)
    weights = {operand.name: assignment[name] for operand, name in space.variable_of.items() if operand.kind == "weights"}
    groups = {operand.name: assignment[name] for operand, name in space.variable_of.items() if operand.kind == "activations"}
    mixed = models.mixed(weights, groups)
    for name, own in expected.weights.items():
        assert np.array_equal(mixed.weights[name].integers, own.integers)
    assert {name: (float(grid.scale), int(grid.zero_point), grid.qtype) for name, grid in mixed.activations.items()} == {
        name: (float(grid.scale), int(grid.zero_point), grid.qtype) for name, grid in expected.activations.items()}
