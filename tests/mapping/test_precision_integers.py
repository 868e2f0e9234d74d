"""The machine's integers do not depend on the precision kind of its PEs: every kind is exact on operands that it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import quantized_layers
import random_machines as machines
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import MappingError
from accelsim.hardware import Accelerator, load_accelerator, with_changes
from accelsim.machine.sample_runs import run_samples
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.program import Program
from accelsim.simulation import simulate
from accelsim.workload import Layer, Network, Tensor
from accelsim.workload.input_values import samples
from accelsim.workload.operation import MatMul

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
