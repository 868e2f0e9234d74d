"""The tables of `docs/quantization.md`: what each step is worth on digits, at each width.

    PYTHONPATH=tests python tests/quantization/test_steps_table.py

writes them anew, in about six minutes; the tests hold a part of them against the page (all of them with the slow ones).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from digits_network import CALIBRATION, accuracy_of, digits, rescaled_digits

from accelsim.quantization.bit_policy import BitPolicy, parse_bit_policy
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.quantize import quantize
from accelsim.quantization.recipe import NONE, STANDARD, Recipe, parse_recipe

PAGE = Path(__file__).parents[2] / "docs" / "quantization.md"
#: Of weights and of activations.
WIDTHS = ((8, 8), (6, 8), (4, 8), (3, 8), (2, 8), (4, 4))
ITERATIONS = 500


class Row(NamedTuple):
    """One line of a table.

    Parameters
    ----------
    name : in the table.
    weights : what the policy says of weights, besides their width.
    recipe : steps.
    range : of activations.
    has_data : or without a calibration set, with pixels known to lie between 0 and 1.
    is_quick : whether every run of the tests computes it.
    """

    name: str
    weights: str = ""
    recipe: Recipe = NONE
    range: str = "mse"
    has_data: bool = True
    is_quick: bool = False

    def policy(self, widths: tuple[int, int]) -> BitPolicy:
        known = "" if self.has_data else "rules:\n  - {layers: inputs, activations: {range: known}}"
        shown = f", range: {self.range}" if self.range else ""
        return parse_bit_policy(f"weights: {{bits: {widths[0]}, {self.weights}}}\n"
                                f"activations: {{bits: {widths[1]}{shown}}}\n{known}", file="table")

    def accuracy(self, model: FloatModel, widths: tuple[int, int]) -> str:
        """In percent, as the table shows it."""
        made = quantize(model, CALIBRATION if self.has_data else None, self.policy(widths), recipe=self.recipe)
        return f"{100 * accuracy_of(made):.1f}"


def recipe(text: str) -> Recipe:
    return parse_recipe(text, file="table")


def learned(name: str) -> str:
    return f"range: mse, rounding: {{name: {name}, iterations: {ITERATIONS}}}"


def steps(granularity: str) -> tuple[Row, ...]:
    """The lines of a table, all with weights of one granularity."""
    own = f"granularity: {granularity}"
    return (
        Row("nearest, min-max ranges", own, range="min_max", is_quick=True),
        Row("nearest, MSE ranges", f"{own}, range: mse"),
        Row("the same, layers equalized", f"{own}, range: mse", recipe("equalization: always")),
        Row("the same, biases corrected analytically", f"{own}, range: mse", recipe("bias_correction: analytic")),
        Row("the same, biases corrected empirically", f"{own}, range: mse", recipe("bias_correction: empirical")),
        Row("the same, a tenth of the channels split", f"{own}, range: mse", recipe("splitting: {ratio: 0.1}")),
        Row("stochastic rounding", f"{own}, range: mse, rounding: stochastic"),
        Row("second-order rounding", f"{own}, range: mse, rounding: second_order"),
        Row("AdaQuant", f"{own}, {learned('adaquant')}"),
        Row("AdaRound", f"{own}, {learned('adaround')}"),
        Row("recipe `standard`", own, STANDARD, range=""),
        Row("recipe `standard`, without data", own, STANDARD, range="", has_data=False))


#: Of a network whose channels are up to 1000 times larger or smaller than they were, and which computes the same.
RESCALED = (
    Row("one scale a tensor", "granularity: tensor", range="min_max", is_quick=True),
    Row("the same, layers equalized", "granularity: tensor", recipe("equalization: always"), range="min_max", is_quick=True),
    Row("one scale a channel", "granularity: channel", range="min_max"),
    Row("the same, layers equalized", "granularity: channel", recipe("equalization: always"), range="min_max"),
    Row("recipe `standard`", "granularity: channel", STANDARD, range=""))

TABLES = {"channel": (digits, steps("channel")), "tensor": (digits, steps("tensor")),
          "rescaled": (rescaled_digits, RESCALED)}
HEAD = ("step", *(f"W{weights}A{activations}" for weights, activations in WIDTHS))


def lines(name: str) -> Iterator[str]:
    make, rows = TABLES[name]
    model = make()
    yield f"| {' | '.join(HEAD)} |"
    yield f"|---|{'---:|' * len(WIDTHS)}"
    for row in rows:
        yield f"| {row.name} | {' | '.join(row.accuracy(model, widths) for widths in WIDTHS)} |"


def block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- table {name} -->\n)(.*?)(\n<!-- end -->)", re.DOTALL)


def shown(name: str) -> list[list[str]]:
    """The cells of a table of the page."""
    found = block(name).search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found.group(2).splitlines()]


@pytest.mark.parametrize("name", TABLES)
def test_page_has_every_step_and_width(name: str) -> None:
    table = shown(name)
    assert tuple(table[0]) == HEAD
    assert [line[0] for line in table[2:]] == [row.name for row in TABLES[name][1]]


CASES = [pytest.param(name, index, id=f"{name}-{row.name}", marks=[] if row.is_quick else pytest.mark.slow)
         for name, (_, rows) in TABLES.items() for index, row in enumerate(rows)]


@pytest.mark.parametrize(("name", "index"), CASES)
def test_page_shows_what_a_step_is_worth(name: str, index: int) -> None:
    """Within five of the 600 images: other processors add float32 numbers up in another order.

    Within thirty, where a network guesses more than it reads.
    """
    make, rows = TABLES[name]
    model = make()
    for widths, cell in zip(WIDTHS, shown(name)[2 + index][1:], strict=True):
        expected = float(cell)
        tolerance = 0.9 if expected > 90 else 5
        assert float(rows[index].accuracy(model, widths)) == pytest.approx(expected, abs=tolerance), widths


if __name__ == "__main__":
    for table in sys.argv[1:] or TABLES:
        body = "\n".join(lines(table))
        page, count = block(table).subn(lambda found, body=body: f"{found.group(1)}{body}{found.group(3)}",
                                        PAGE.read_text(encoding="utf-8"))
        assert count == 1, table
        PAGE.write_text(page, encoding="utf-8")
