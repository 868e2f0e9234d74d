"""Networks that onnxruntime quantized run on the simulated machine to onnxruntime's own integers."""

from __future__ import annotations

import pytest
import quantized_models as models

from accelsim import load_accelerator, simulate, with_changes
from accelsim.errors import WorkloadError
from accelsim.reference.comparison import Comparison
from accelsim.reference.runtime import runtime_named
from accelsim.workload.input_values import samples
from accelsim.workload.load import load_network, load_quantized_network

FORMS = [("QOperator", "QUInt8", True), ("QOperator", "QInt8", False), ("QDQ", "QUInt8", False), ("QDQ", "QInt8", True)]

#: Grids of every dataflow, two of them with one reduction a kernel position.
MACHINES = [("edge_16x16", {}), ("whitepaper_4x4", {}), ("nvdla_small", {}),
            ("edge_16x16", {"pe_grid.dataflow": "output_stationary"}),
            ("edge_16x16", {"pe_grid.dataflow": "input_stationary", "pe_grid.reduction": "channels"})]


def differences(chip, network, arrays, **options):
    """Layer -> its difference, chained and fed."""
    given = samples(network, arrays)
    reference = runtime_named("onnxruntime", network, scheme="float32_nearest_even")
    chained, fed = Comparison(reference, given), Comparison(reference, given)
    result = simulate(chip, network, inputs=arrays, rounding="model", told=chained.told, **options)
    simulate(chip, network, inputs=arrays, rounding="model", told=fed.told, fed=fed.expected, **options)
    return result, chained.differences, fed.differences


@pytest.mark.parametrize(("form", "activation", "is_per_channel"), FORMS)
def test_a_convolutional_network_gives_the_runtimes_integers(tmp_path, form, activation, is_per_channel):
    model = models.convolutional()
    path = models.quantized(model, tmp_path, form=form, activation=activation, is_per_channel=is_per_channel)
    network = load_quantized_network(path)
    arrays = {"x": model.samples(1, seed=3)[0]}
    for name, changes in MACHINES:
        chip = with_changes(load_accelerator(name), changes)
        result, chained, fed = differences(chip, network, arrays)
        assert {layer: found.differing for layer, found in (chained | fed).items() if found.differing} == {}
        assert len(chained) >= 10
        assert result.overflows == 0
        assert result.total_cycles == simulate(chip, load_network(path)).total_cycles


def test_the_machines_own_rule_is_told_from_the_models(tmp_path):
    model = models.convolutional()
    path = models.quantized(model, tmp_path)
    network, arrays = load_quantized_network(path), {"x": model.samples(1, seed=3)[0]}
    own = simulate(load_accelerator("edge_16x16"), network, inputs=arrays)
    other = simulate(load_accelerator("edge_16x16"), network, inputs=arrays, rounding="model")
    assert (own.rounding, other.rounding) == ("tflite_double", "float32_nearest_even")


def test_integers_do_not_depend_on_tiles_buffers_or_grid(tmp_path):
    model = models.convolutional()
    network = load_quantized_network(models.quantized(model, tmp_path))
    arrays = {"x": model.samples(1, seed=3)[0]}
    outputs = set()
    for changes in ({}, {"pe_grid.rows": 5, "pe_grid.columns": 3}, {"memory.buffers.scratchpad.capacity": "8 KiB"},
                    {"accumulators.entries": 64}, {"pe_grid.dataflow": "output_stationary"},
                    {"pe_grid.zero_points": "subtract"}, {"accumulators.preloads_bias": False}):
        chip = with_changes(load_accelerator("edge_16x16"), changes)
        (output,) = simulate(chip, network, inputs=arrays, rounding="model").outputs.values()
        outputs.add(output.tobytes())
    assert len(outputs) == 1


def test_a_runtime_that_is_not_the_models_is_refused(tmp_path):
    network = load_quantized_network(models.quantized(models.convolutional(), tmp_path))
    for name, problem in (("litert", "expected a comparison with onnxruntime for this model, got litert"),
                          ("tvm", "expected onnxruntime or litert, got tvm")):
        with pytest.raises(WorkloadError, match=problem):
            runtime_named(name, network, scheme="float32_nearest_even")
