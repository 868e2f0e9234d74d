"""What the integers say, sentence by sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_made_integers import make_values, with_values

from accelsim.report.findings import findings
from accelsim.report.headlines import headlines
from accelsim.report.value_findings import carried_sentence, value_findings
from accelsim.results.network_result import NetworkResult
from accelsim.results.overflow import Overflows


def test_overflows_are_told_with_their_places_and_what_they_hit(overflowing_result: NetworkResult) -> None:
    assert value_findings(overflowing_result) == [
        "2 of 3 layers on the PE grid overflow: 9 partial sums do not fit into accumulators of 16 bits and wires of 14 bits "
        "that wrap (1 in the bias, 4 in the accumulators, 3 in the wires between PEs and 1 in the row sums), and 4 of 2,020 "
        "outputs are hit (0.2 %); fc is hit most, in 5.0 % of its outputs.",
        "Every layer would be safe at 18 bits with these inputs and at 20 bits with any; accumulators of 17 bits that wrap, "
        "with wires as wide, would give the same outputs.",
    ]


def test_a_run_without_overflow_tells_what_proves_it(safe_result: NetworkResult) -> None:
    fits = "No partial sum overflows: all of them fit into 24-bit accumulators."
    assert value_findings(safe_result)[0] == f"{fits} The weights prove that no other inputs can overflow them either."
    values = {layer.name: layer.values for layer in safe_result.layers if layer.values and layer.values.widths}
    some = with_values(safe_result, values | {"fc": replace(values["fc"], is_proven=False)})
    assert value_findings(some)[0] == f"{fits} In 2 of 3 layers the weights prove it for any inputs."
    none = with_values(safe_result, {name: replace(value, is_proven=False) for name, value in values.items()})
    assert value_findings(none)[0] == f"{fits} The weights do not prove it for other inputs."


@pytest.mark.parametrize(
    ("bits", "wires", "overflow", "expected"),
    [
        (17, None, "wrap", "No output changes by it: the registers wrap, and their last sums fit again."),
        (16, None, "wrap", "The registers wrap, so 1 of the 2 layers that overflow end with the right sums all the same."),
        (14, None, "wrap", None),
        (17, 14, "wrap", None),
        (17, None, "saturate", None),
    ],
)
def test_wrapped_sums_that_come_back_are_told_where_registers_wrap(
    overflowing_result: NetworkResult, bits: int, wires: int | None, overflow: str, expected: str | None
) -> None:
    chip = overflowing_result.accelerator
    changed = chip.model_copy(
        update={
            "accumulators": chip.accumulators.model_copy(update={"bits": bits, "overflow": overflow}),
            "pe_grid": chip.pe_grid.model_copy(update={"partial_sum_bits": wires}),
        }
    )
    sentences = value_findings(replace(overflowing_result, accelerator=changed))
    assert sentences[1:-1] == ([expected] if expected else [])


def test_one_event_in_one_layer_is_told_in_the_singular(tiny_result: NetworkResult) -> None:
    overflows = Overflows(count=1, outputs_hit=1, outputs=200, by_place={"accumulator": 1})
    values = make_values(worst=33, running=33, final=33, overflows=overflows)
    assert value_findings(with_values(tiny_result, {"conv": values})) == [
        "1 of 1 layer on the PE grid overflows: 1 partial sum does not fit into accumulators and wires of 32 bits that wrap "
        "(in the accumulators), and 1 of 200 outputs is hit (0.5 %).",
        "The layer would be safe at 33 bits with these inputs and with any others.",
    ]


def test_a_network_without_grid_layers_has_nothing_to_overflow(tiny_result: NetworkResult) -> None:
    assert value_findings(with_values(tiny_result, {})) == [
        "No layer runs on the PE grid, so there are no accumulators to overflow."
    ]


def test_trials_tell_down_to_which_width_outputs_are_right(trial_result: NetworkResult) -> None:
    assert value_findings(trial_result) == [
        "Every layer would be safe at 18 bits with these inputs and at 20 bits with any; accumulators of 15 bits that wrap, "
        "with wires as wide, would give the same outputs.",
        "Of the widths tried, those down to 16 bits give no wrong output; at 14 bits 25 of 3,000 outputs (0.8 %) are wrong, "
        "by 12 LSB at most.",
    ]


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ((18, 16), "No tried width makes an output wrong, down to 16 bits."),
        ((14,), "Even at 14 bits, the widest that was tried, 25 of 3,000 outputs (0.8 %) are wrong, by 12 LSB at most."),
    ],
)
def test_trials_that_are_all_right_or_all_wrong(trial_result: NetworkResult, kept: tuple[int, ...], expected: str) -> None:
    values = {
        layer.name: replace(layer.values, trials=tuple(trial for trial in layer.values.trials if trial.bits in kept))
        for layer in trial_result.layers
        if layer.values is not None and layer.values.trials
    }
    assert value_findings(with_values(trial_result, values))[-1] == expected


def test_the_rule_and_the_samples_are_told(overflowing_result: NetworkResult, trial_result: NetworkResult) -> None:
    assert carried_sentence(overflowing_result) == (
        "The run carried the integers of 2 samples and requantized them by the rule tflite_double."
    )
    assert carried_sentence(replace(trial_result, rounding="tflite_single")) == (
        "The run carried the integers of one sample and requantized them by the rule tflite_single, the model's; the "
        "accelerator's own is tflite_double. Its accumulators were as wide as it takes; other widths were tried beside "
        "them, layer by layer."
    )


def test_findings_and_headlines_add_the_overflows_of_a_run_with_integers_alone(
    overflowing_result: NetworkResult, safe_result: NetworkResult, trial_result: NetworkResult
) -> None:
    plain = replace(overflowing_result, rounding="", outputs={})
    assert value_findings(plain) == []
    assert findings(overflowing_result) == [*findings(plain), value_findings(overflowing_result)[0]]
    assert headlines(overflowing_result)[:-1] == headlines(plain)
    last = headlines(overflowing_result)[-1]
    assert (last.label, last.value, last.note) == ("Overflows", "9", "0.2 % of the outputs, 2 of 3 layers")
    last = headlines(safe_result)[-1]
    assert (last.label, last.value, last.note) == ("Overflows", "0", "24-bit accumulators")
    assert headlines(trial_result)[-1].label == "MACs"
