"""Budgets as people write them."""

import pytest

from accelsim.errors import SearchError
from accelsim.search.budget import Budget, cost_text

UNIFORM = {"latency": 7207.0, "energy": 2e6, "size": 4000.0, "bops": 1e9, "traffic": 10.0}


@pytest.mark.parametrize(("cost", "text", "limit"), [
    ("latency", "0.7x", 5044.9), ("latency", "5ms", 2.5e6), ("latency", "1.2Mcycles", 1.2e6), ("latency", "90 cycles", 90.0),
    ("latency", "1.5 us", 750.0), ("energy", "3mJ", 3e9), ("energy", "0.5x", 1e6), ("energy", "12.5nJ", 12500.0),
    ("size", "200KiB", 204800.0), ("size", "1.5KB", 1500.0), ("size", "0.25x", 1000.0), ("bops", "12GBOPs", 12e9),
    ("bops", "7BOPs", 7.0), ("traffic", "3MB", 3e6),
])
def test_a_budget_is_read_in_the_unit_of_its_cost(cost, text, limit):
    assert Budget.parse(cost, text, uniform=UNIFORM, clock_hz=500_000_000).limit == pytest.approx(limit, rel=1e-15)


@pytest.mark.parametrize(("cost", "text", "line"), [
    ("latency", "5mJ", 'latency: expected a budget such as 0.7x, 5ms or 1.2Mcycles, got "5mJ"'),
    ("latency", "fast", 'latency: expected a budget such as 0.7x, 5ms or 1.2Mcycles, got "fast"'),
    ("latency", "-1ms", 'latency: expected a budget such as 0.7x, 5ms or 1.2Mcycles, got "-1ms"'),
    ("energy", "3ms", 'energy: expected a budget such as 0.7x or 3mJ, got "3ms"'),
    ("size", "200", 'size: expected a budget such as 0.7x or 200KiB, got "200"'),
    ("bops", "12GB", 'bops: expected a budget such as 0.7x or 12GBOPs, got "12GB"'),
])
def test_other_texts_are_refused(cost, text, line):
    with pytest.raises(SearchError) as caught:
        Budget.parse(cost, text, uniform=UNIFORM, clock_hz=500_000_000)
    assert str(caught.value) == line


def test_an_energy_table_without_joules_takes_shares_alone():
    at = {"uniform": UNIFORM, "clock_hz": 1, "energy_unit": "MAC"}
    assert Budget.parse("energy", "0.5x", **at).limit == 1e6
    with pytest.raises(SearchError):
        Budget.parse("energy", "3mJ", **at)


def test_costs_are_shown_with_their_units():
    assert [cost_text("latency", 5044.0), cost_text("energy", 3e9), cost_text("energy", 3.0, energy_unit="MAC"),
            cost_text("size", 204800), cost_text("bops", 12e9)] == ["5,044 cycles", "3 mJ", "3 MAC", "200 KiB", "12 GBOPs"]
