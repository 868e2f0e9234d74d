"""The terminal's tables of integers: widths, differences from another runtime, trials."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hand_made_integers import long_run, make_values, with_values
from rich.console import Console
from rich.table import Table

from accelsim.report.differences_table import differences_sentence, differences_table
from accelsim.report.trials_table import narrowest_safe, trials_table
from accelsim.report.values_table import values_table
from accelsim.results.comparison import Difference
from accelsim.results.network_result import NetworkResult
from accelsim.results.width_trial import WidthTrial


def _lines(table: Table, *, width: int = 120) -> list[str]:
    target = io.StringIO()
    Console(file=target, width=width, markup=False).print(table)
    return [line.rstrip() for line in target.getvalue().split("\n") if line.strip()]


def test_the_table_of_widths(overflowing_result: NetworkResult) -> None:
    assert _lines(values_table(overflowing_result, width=120)) == [
        "small on edge_16x16: accumulators of 16 bits and wires of 14 bits that wrap",
        " layer                     accumulator  worst case  running  final  overflows  outputs hit",
        " " + "─" * 89,
        " conv1                              16          20       18     15          7        0.3 %",
        " conv2                              16          14       12     11          –            –",
        " fc                                 16          19       18     17          2        5.0 %",
        " all 3 layers on the grid           16          20       18     17          9        0.2 %",
    ]


def test_the_table_of_widths_beside_trials_is_silent_on_overflow(trial_result: NetworkResult) -> None:
    assert _lines(values_table(trial_result, width=120))[1] == (
        " layer                     accumulator  worst case  running  final"
    )


def test_the_table_of_a_network_without_grid_layers(tiny_result: NetworkResult) -> None:
    lines = _lines(values_table(with_values(tiny_result, {}), width=120))
    assert lines[-1] == " no layers on the grid           32           –        –      –          –            –"
    assert " no layers on the grid           –        –      –" in _lines(
        trials_table(with_values(tiny_result, {}), width=120)
    )


DIFFERENCES = {
    "conv": Difference("conv", outputs=20_000),
    "dense": Difference("dense", outputs=1_000, differing=3, largest=2),
    "softmax": Difference("softmax", outputs=10, differing=10, largest=1),
}
FED = {
    "conv": Difference("conv", outputs=20_000),
    "dense": Difference("dense", outputs=1_000),
    "softmax": Difference("softmax", outputs=10, differing=1, largest=1),
}


def test_the_table_of_differences() -> None:
    assert _lines(differences_table(DIFFERENCES, FED, width=120, title="tiny: accelsim and LiteRT")) == [
        "tiny: accelsim and LiteRT",
        " layer         outputs  differ, chained  by at most  differ, fed  by at most, fed",
        " " + "─" * 80,
        " conv           20,000                0           –            0                –",
        " dense           1,000        3 (0.3 %)       2 LSB            0                –",
        " softmax            10       10 (100 %)       1 LSB     1 (10 %)            1 LSB",
        " all 3 layers   21,010      13 (0.06 %)       2 LSB  1 (0.005 %)            1 LSB",
    ]
    assert _lines(differences_table(DIFFERENCES, None, width=120)) == [
        "Outputs that differ",
        " layer         outputs       differ  by at most",
        " " + "─" * 46,
        " conv           20,000            0           –",
        " dense           1,000    3 (0.3 %)       2 LSB",
        " softmax            10   10 (100 %)       1 LSB",
        " all 3 layers   21,010  13 (0.06 %)       2 LSB",
    ]


def test_a_layer_that_was_not_fed_has_dashes() -> None:
    lines = _lines(differences_table(DIFFERENCES, {"conv": FED["conv"]}, width=120))
    assert lines[4] == " dense           1,000        3 (0.3 %)       2 LSB            –                –"


def test_the_comparison_in_a_sentence() -> None:
    equal = {name: replace(one, differing=0, largest=0) for name, one in DIFFERENCES.items()}
    assert differences_sentence(equal, equal) == "All 21,010 outputs of 3 layers are equal, chained and fed layer by layer."
    assert differences_sentence(DIFFERENCES, None) == "13 of 21,010 outputs of 3 layers differ, by 2 LSB at most."
    assert differences_sentence(DIFFERENCES, FED) == (
        "13 of 21,010 outputs of 3 layers differ, by 2 LSB at most; fed layer by layer, 1 differs, by 1 LSB at most."
    )
    assert differences_sentence(DIFFERENCES, equal) == (
        "13 of 21,010 outputs of 3 layers differ, by 2 LSB at most; fed layer by layer, none differs."
    )
    assert differences_sentence(equal, FED) == (
        "None of 21,010 outputs of 3 layers differs; fed layer by layer, 1 differs, by 1 LSB at most."
    )


def test_the_table_of_trials(trial_result: NetworkResult) -> None:
    assert _lines(trials_table(trial_result, width=120)) == [
        "small on edge_16x16: wrong outputs by accumulator width",
        " layer                     worst case  running  final  18-bit  16-bit      14-bit",
        " " + "─" * 80,
        " conv1                             17       13     12       –       –           –",
        " conv2                             20       16     15       –       –  2.5 % (25)",
        " fc                                19       18     13       –       0           0",
        " all 3 layers on the grid          20       18     15       –       0  0.8 % (25)",
        "–: no partial sum overflows; 0: some do, and no output is wrong",
    ]


def test_a_narrow_terminal_leaves_out_counts_and_widths_that_tell_little(trial_result: NetworkResult) -> None:
    assert _lines(trials_table(trial_result, width=80))[1] == (
        " layer                     worst case  running  final  18-bit  16-bit  14-bit"
    )
    assert _lines(trials_table(trial_result, width=70))[1] == (
        " layer                     running  final  18-bit  16-bit  14-bit"
    )


@pytest.mark.parametrize("width", [70, 80, 100, 120, 200])
@pytest.mark.parametrize("count", [1, 10, 60])
def test_no_cell_but_a_name_is_cut(count: int, width: int) -> None:
    result = long_run(count)
    differences = {layer.name: Difference(layer.name, 10**7, 10**6, 255) for layer in result.layers}
    for table in (
        values_table(result, width=width),
        trials_table(result, width=width),
        differences_table(differences, differences, width=width),
    ):
        lines = _lines(table, width=width)
        assert max(map(len, lines)) <= width
        assert not any("…" in line.lstrip()[1:] for line in lines)


def test_a_width_that_was_not_tried_is_safe_or_unknown(trial_result: NetworkResult) -> None:
    tried = {"trials": (WidthTrial(12, 1000, events=3, outputs_hit=3, wrong_outputs=1, largest_error=1),)}
    values = {
        "conv1": make_values(worst=17, running=13, final=13, **tried),
        "conv2": make_values(worst=17, running=12, final=12),
        "fc": make_values(worst=17, running=15, final=12),
    }
    lines = _lines(trials_table(with_values(trial_result, values), width=120))
    assert [line.split()[-1] for line in lines[3:7]] == ["(1)", "–", "?", "?"]


def test_the_narrowest_safe_width_is_told_in_two_lines(trial_result: NetworkResult) -> None:
    assert narrowest_safe(trial_result) == (
        "Every layer would be safe at 18 bits with these inputs and at 20 bits with any; accumulators of 15 bits that wrap, "
        "with wires as wide, would give the same outputs.\n"
        "Of the widths tried, those down to 16 bits give no wrong output; at 14 bits 25 of 3,000 outputs (0.8 %) are wrong, "
        "by 12 LSB at most."
    )
