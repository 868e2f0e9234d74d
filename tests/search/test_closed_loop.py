"""From a float network to a policy that the machine proves: the digits network, and a small one."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from accelsim.errors import AccelsimError, SearchError
from accelsim.hardware.changes import with_changes
from accelsim.hardware.loader import load_accelerator
from accelsim.lut.latency_table import LatencyTable
from accelsim.quantization.bit_policy import parse_bit_policy
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.quantize import quantize
from accelsim.report.search_report import search_files, search_findings
from accelsim.search.accumulator_costs import AccumulatorNeeds, accumulator_terms
from accelsim.search.closed_loop import search
from accelsim.search.evolutionary import Evolutionary
from accelsim.search.greedy import Greedy
from accelsim.search.measured_loss import measured_loss
from accelsim.search.prepared_search import PreparedSearch
from accelsim.search.request import SearchRequest
from accelsim.search.space_options import SpaceOptions
from accelsim.simulation import simulate
from accelsim.workload.onnx.graph import GraphInput, Node

DIGITS = Path(__file__).parents[2] / "workloads" / "digits"


@pytest.fixture(scope="module")
def some_digits(tmp_path_factory):
    """Every third test image: 200 of them, for speed."""
    folder = tmp_path_factory.mktemp("digits")
    with np.load(DIGITS / "test.npz") as arrays:
        np.savez(folder / "test.npz", image=arrays["image"][::3], label=arrays["label"][::3])
    return folder / "test.npz"


@pytest.fixture(scope="module")
def outcome(some_digits):
    request = SearchRequest(FloatModel.load(DIGITS / "digits.onnx"), load_accelerator("unpu"),
                            {"latency": "0.7x"}, DIGITS / "calibration.npz", some_digits, measure="kl", front_points=5,
                            verifies=True)
    return search(request)


def by_name(outcome):
    return {each.name: each for each in outcome.contenders}


def test_the_digits_run_within_seven_tenths_of_uniform_8_and_one_point_of_float(outcome):
    found = by_name(outcome)
    assert found["chosen"].cycles <= 0.7 * found["uniform 8"].cycles
    assert found["float"].accuracy - found["chosen"].accuracy <= 0.01
    assert found["chosen"].overflows == 0
    assert found["uniform 4"].accuracy < found["chosen"].accuracy
    assert outcome.solution.is_optimal


def test_the_table_predicts_every_layer_exactly(outcome):
    assert outcome.largest_error_cycles == 0
    for layer in outcome.layers:
        assert layer.predicted_energy_pj == layer.simulated_energy_pj
    assert outcome.solution.costs["latency"] == outcome.result.total_cycles == by_name(outcome)["chosen"].cycles


def test_what_uniform_8_costs_by_the_table_is_what_it_takes(outcome):
    assert outcome.uniform["latency"] == by_name(outcome)["uniform 8"].cycles
    assert outcome.uniform["energy"] == pytest.approx(by_name(outcome)["uniform 8"].energy_pj, rel=1e-12)


def test_the_choice_lies_on_the_front(outcome):
    points = outcome.front.points
    assert (outcome.solution.costs["latency"], outcome.solution.objective) in points
    assert points == sorted(points)
    assert [value for _, value in points] == sorted((value for _, value in points), reverse=True)


def test_the_written_network_gives_the_reported_answers(outcome, some_digits, tmp_path):
    files = search_files(outcome)
    assert sorted(files) == sorted([
        "index.html", "search.json", "layers.csv", "sensitivities.csv", "table.csv", "policy.yaml", "quantized.onnx",
        *(f"figures/{name}.{suffix}" for name in ("bits", "front", "contenders", "prediction")
          for suffix in ("png", "svg"))])
    assert files == search_files(outcome)
    (tmp_path / "quantized.onnx").write_bytes(files["quantized.onnx"])
    from accelsim.workload.load import load_quantized_network

    with np.load(some_digits) as arrays:
        images, labels = arrays["image"][:40], arrays["label"][:40]
    network = load_quantized_network(tmp_path / "quantized.onnx", batch=1)
    result = simulate(load_accelerator("unpu"), network, inputs={"image": images})
    answers = result.outputs["scores"].reshape(40, -1).argmax(axis=1)
    assert result.total_cycles == outcome.result.total_cycles
    assert (answers == labels).mean() >= 0.95


def test_the_written_policy_quantizes_to_the_same_integers(outcome):
    files = search_files(outcome)
    policy = parse_bit_policy(files["policy.yaml"].decode(), file="policy.yaml")
    again = quantize(FloatModel.load(DIGITS / "digits.onnx"), DIGITS / "calibration.npz", policy)
    assert all(np.array_equal(again.weights[name].integers, own.integers)
               for name, own in outcome.quantized.weights.items())
    document = json.loads(files["search.json"])
    assert document["budgets"][0]["simulated"] == outcome.result.total_cycles
    assert LatencyTable.parse(files["table.csv"].decode()) == outcome.table


def test_the_findings_say_what_was_kept_and_what_was_lost(outcome):
    found = search_findings(outcome)
    cycles, limit = outcome.result.total_cycles, outcome.budgets[0].limit
    assert found[0] == (f"The choice keeps the budget of latency: {cycles:,} cycles simulated "
                        f"({cycles / outcome.uniform['latency']:.3f} of uniform 8), {limit:,.0f} cycles allowed.")
    assert found[1].startswith("Executed in integers on 200 samples, the choice is right for ")
    assert found[2].startswith("Solver ilp: a sensitivity (kl) of ")
    assert found[3] == "Every layer took exactly the cycles that the table predicted."
    assert found[4].startswith("Remark: the hardware rounds widths up: stem 8/8 as 8/16, ")


# A network of two layers, quick enough for everything else.

GENERATOR = np.random.default_rng(4)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    nodes = (Node("Conv", "a", ("x", "wa"), ("ya",)), Node("Relu", "relu", ("ya",), ("ra",)),
             Node("Conv", "b", ("ra", "wb"), ("yb",)), Node("GlobalAveragePool", "mean", ("yb",), ("m",)),
             Node("Flatten", "flat", ("m",), ("y",)))
    weights = {"wa": GENERATOR.normal(size=(8, 3, 3, 3)).astype(np.float32),
               "wb": GENERATOR.normal(size=(4, 8, 3, 3)).astype(np.float32)}
    model = FloatModel("small", nodes, weights, {"x": GraphInput(("n", 3, 6, 6), 1)}, ("y",))
    path = tmp_path_factory.mktemp("small") / "data.npz"
    np.savez(path, x=GENERATOR.normal(size=(12, 3, 6, 6)).astype(np.float32))
    space = SpaceOptions(weight_bits=(2, 4, 8), activation_bits=(4, 8), fixed={"inputs": 8})
    return SearchRequest(model, load_accelerator("unpu"), {"latency": "0.8x"}, path, space=space, front_points=0)


def test_without_labels_answers_are_compared_with_the_float_network(small):
    found = search(small)
    assert all(each.accuracy is None for each in found.contenders)
    assert 0 <= by_name(found)["chosen"].agreement <= 1
    assert "the samples have no labels" in search_findings(found)[1]
    assert found.front is None
    assert "figures/front.svg" not in search_files(found)


def optimistic(table, share):
    """A table that promises this share of every layer's cycles."""
    return replace(table, costs={key: replace(cost, cycles=int(cost.cycles * share)) for key, cost in table.costs.items()})


def test_a_run_that_breaks_the_budget_is_repaired_or_told(small):
    parts = PreparedSearch(small)
    cycles = f"{int(0.8 * parts.uniform['latency'])}cycles"
    wrong = replace(small, table=optimistic(parts.table, 0.9), budgets={"latency": cycles})
    told = search(wrong)
    assert told.result.total_cycles > told.budgets[0].limit
    assert any(remark.startswith("the run breaks the budget: latency ") for remark in told.remarks)
    assert search_findings(told)[0].startswith("The choice breaks the budget of latency: ")
    repaired = search(replace(wrong, verifies=True))
    assert repaired.result.total_cycles <= repaired.budgets[0].limit
    assert any(remark.startswith("repair 1: latency ") for remark in repaired.remarks)
    assert repaired.largest_error_cycles > 0


def test_a_run_that_no_repair_brings_within_the_budget_is_refused(small):
    parts = PreparedSearch(small)
    least = min(sum(min(cost.cycles for (name, _), cost in parts.table.costs.items() if name == layer)
                    for layer in parts.table.layers), 10**9)
    wrong = replace(small, table=optimistic(parts.table, 0.5), budgets={"latency": f"{int(0.6 * least)}cycles"},
                    verifies=True)
    with pytest.raises(SearchError, match=r"expected (at least|a policy whose run keeps the budget)"):
        search(wrong)


def test_an_infeasible_budget_says_the_smallest_latency_and_what_is_fixed(small):
    with pytest.raises(SearchError) as caught:
        search(replace(small, budgets={"latency": "10 cycles"}))
    least = min(search(replace(small, budgets={"latency": f"{cycles}cycles"})).result.total_cycles
                for cycles in [int(str(caught.value).split("at least ")[1].split(" ")[0])])
    assert str(caught.value) == (f"latency: expected at least {least} cycles, the smallest that these widths reach, got 10 "
                                 "cycles; fixed: x activations")


def test_a_table_of_other_hardware_is_refused_by_its_fingerprint(small):
    table = PreparedSearch(small).table
    other = with_changes(small.accelerator, {"clock": "400 MHz"})
    with pytest.raises(AccelsimError, match=r"expected a table made for the accelerator unpu \(fingerprint"):
        search(replace(small, accelerator=other, table=table))


def test_safe_accumulators_are_the_narrowest_allowed_ones_and_nothing_overflows(small):
    space = replace(small.space, accumulator_bits=(16, 18, 20, 24))
    found = search(replace(small, space=space, budgets={"latency": "0.8x"}))
    grid = [layer for layer in found.layers if layer.accumulator_bits is not None]
    assert [layer.name for layer in grid] == ["a", "b"]
    for layer in grid:
        # Nothing asks for wide ones: the narrowest that is safe.
        assert layer.accumulator_bits == min(bits for bits in (16, 18, 20, 24) if bits >= layer.safe_bits)
    assert by_name(found)["chosen"].overflows == 0
    # The energy of each layer is that of a run with its own accumulators.
    for layer in grid:
        chip = with_changes(small.accelerator, {"accumulators.bits": layer.accumulator_bits})
        run = simulate(chip, found.quantized.network().network)
        assert next(each for each in run.layers if each.name == layer.name).total_energy_pj == layer.simulated_energy_pj


def test_a_forbidden_accumulator_is_one_that_the_bound_exceeds(small):
    parts = PreparedSearch(replace(small, space=replace(small.space, accumulator_bits=(16, 18, 20))))
    needs = AccumulatorNeeds.measured(parts.space, parts.models, small.accelerator, parts.samples)
    safe = {term.label: term for term in accumulator_terms(parts.space, needs, is_safe=True)}
    rated = {term.label: term for term in accumulator_terms(parts.space, needs, is_safe=False, weight=2.0)}
    for layer, group in (("a", "x"), ("b", "ra")):
        term = safe[f"{layer} accumulators"]
        variables = [parts.space.choices[name] for name in term.variables]
        for place in np.ndindex(term.values.shape):
            weight_bits, input_bits, bits = (choices[index] for choices, index in zip(variables, place, strict=True))
            weights = parts.models.models[weight_bits].weights[layer].integers.astype(object)
            grid = parts.models.grid(group, input_bits)
            # The machine folds the zero point into the bias: b' = -z sum w, x' = x.
            largest = max(abs(grid.qtype.min), abs(grid.qtype.max))
            bound = max(abs(int(grid.zero_point) * channel.sum()) + np.abs(channel).sum() * largest
                        for channel in weights.reshape(-1, weights.shape[2]))
            assert np.isinf(term.values[place]) == (bound > 2 ** (bits - 1) - 1), (layer, place)
            assert 0 <= rated[term.label].values[place] <= 2.0
            if not np.isinf(term.values[place]):
                assert rated[term.label].values[place] == 0
    # What is forbidden of the first layer at its widest does overflow on the samples.
    assert np.isinf(safe["a accumulators"].values[-1, ..., 0]).all()
    assert rated["a accumulators"].values.max() > 0


def test_a_model_of_a_fixed_batch_is_run_batch_by_batch(small, tmp_path):
    model = replace(small.model, inputs={"x": GraphInput((4, 3, 6, 6), 1)})
    data = tmp_path / "batches.npz"
    np.savez(data, x=GENERATOR.normal(size=(3, 4, 3, 6, 6)).astype(np.float32), label=np.arange(12) % 4)
    found = search(replace(small, model=model, data=data))
    assert found.samples == 12
    assert all(0 <= each.accuracy <= 1 for each in found.contenders)
    assert found.largest_error_cycles == 0


def test_any_solver_closes_the_loop(small):
    exact = search(small).solution
    for solver in (Greedy(), Evolutionary(trials=30, population=10)):
        found = search(replace(small, solver=solver))
        assert found.result.total_cycles <= found.budgets[0].limit
        assert found.solution.objective >= exact.objective
        assert found.solution.gap is None


def test_a_measured_loss_is_of_the_whole_choice(small):
    loss = measured_loss(small)
    space = PreparedSearch(small).space
    wide, narrow = loss(space.uniform(8)), loss(space.uniform(2))
    assert wide < narrow
    found = search(replace(small, solver=Evolutionary(trials=20, population=8, measured=loss)))
    assert found.solution.objective == loss(found.assignment)


@pytest.mark.parametrize(("changes", "line"), [
    ({"budgets": {}}, "expected a budget such as --latency 0.7x, got none"),
    ({"measure": "klx"}, '--measure: expected one of mse, sqnr, kl, loss, accuracy, fisher, hessian, got "klx"'),
    ({"measure": "hessian"}, "--traces: expected a file of traces for the measure hessian, got none"),
])
def test_a_wrong_request_is_told_in_one_line(small, changes, line):
    with pytest.raises(SearchError) as caught:
        replace(small, **changes)
    assert str(caught.value).startswith(line)


def test_widths_that_the_hardware_rounds_up_are_remarked(small):
    space = SpaceOptions(weight_bits=(3,), activation_bits=(8,), fixed={})
    found = search(replace(small, space=space, accelerator=load_accelerator("bitfusion_16x32"), budgets={"latency": "1x"}))
    assert found.remarks[-1] == "the hardware rounds widths up: a 3/8 as 4/8, b 3/8 as 4/8"


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["kl", "loss", "sqnr", "fisher"])
def test_all_test_images_stay_within_one_point_of_float_by_several_measures(measure):
    request = SearchRequest(FloatModel.load(DIGITS / "digits.onnx"), load_accelerator("unpu"),
                            {"latency": "0.7x"}, DIGITS / "calibration.npz", DIGITS / "test.npz", measure=measure,
                            front_points=0, verifies=True)
    found = by_name(search(request))
    assert found["chosen"].cycles <= 0.7 * found["uniform 8"].cycles
    assert found["float"].accuracy - found["chosen"].accuracy <= 0.01


def test_scales_that_the_requantizer_does_not_take_are_refused(small):
    # The policy's scales are no powers of two, and this requantizer shifts alone.
    policy = parse_bit_policy("weights: {range: min_max}\n", file="policy.yaml")
    with pytest.raises(AccelsimError, match="expected a power of two"):
        search(replace(small, policy=policy))


def test_an_accelerator_of_one_width_gains_nothing_from_narrow_operands_but_bytes(small):
    found = search(replace(small, accelerator=load_accelerator("tpu_v1"), budgets={"latency": "1x"}))
    narrow = [layer for layer in found.layers if layer.is_rounded_up]
    assert found.solution.costs["size"] <= found.uniform["size"]
    assert all(layer.effective_bits == (8, 8) for layer in narrow)
