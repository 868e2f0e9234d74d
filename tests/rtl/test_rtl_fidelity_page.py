"""The page on fidelity says what the RTL's cases cover."""

from pathlib import Path

import pytest

pytest.importorskip("amaranth")

from rtl import rtl_groups as groups


@pytest.mark.slow
def test_the_page_on_fidelity_counts_the_cases_of_the_rtl():
    page = (Path(__file__).parents[2] / "docs" / "fidelity.md").read_text(encoding="utf-8")
    assert groups.text() in page
