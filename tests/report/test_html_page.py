"""The page: whole in one file, the same bytes on every run, and honest about what is missing."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from accelsim.report.findings import findings
from accelsim.report.headlines import headlines
from accelsim.report.writer import report_files
from accelsim.results.network_result import NetworkResult


def _page(result: NetworkResult) -> str:
    return report_files(result)["index.html"].decode()


def test_the_page_needs_no_other_file(resnet_page: str) -> None:
    assert set(re.findall(r'https?://[^"\'\s<)]+', resnet_page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert not re.search(r'\bsrc=|@import|<link rel="stylesheet"', resnet_page)
    assert set(re.findall(r'href="([^#"][^"]*)"', resnet_page)) == {"data:,"}


def test_no_id_occurs_twice_and_every_reference_is_met(resnet_page: str) -> None:
    identities = Counter(re.findall(r'\bid="([^"]+)"', resnet_page))
    assert [name for name, count in identities.items() if count > 1] == []
    assert {*re.findall(r'href="#([^"]+)"', resnet_page), *re.findall(r"url\(#([^)]+)\)", resnet_page)} <= set(identities)


def test_same_result_same_files(tiny_result: NetworkResult) -> None:
    assert report_files(tiny_result) == report_files(tiny_result)


def test_operators_that_were_not_simulated_are_listed_with_their_number(
    resnet_page: str, tiny_result: NetworkResult
) -> None:
    assert "<li><strong>NonMaxSuppression</strong> × 1</li>" in resnet_page
    assert "<li><strong>TopK</strong> × 2</li>" in resnet_page
    assert 'id="unsupported"' not in _page(tiny_result)


def test_every_layer_has_a_row(resnet_page: str, resnet_result: NetworkResult) -> None:
    assert re.findall(
        r'<td data-key="([^"]+)">[^<]*</td><td data-key="(?:conv|pooling|elementwise|reduction|matmul)">', resnet_page
    ) == [layer.name for layer in resnet_result.layers]


def test_markup_in_names_is_text(tiny_result: NetworkResult) -> None:
    evil = replace(tiny_result.layers[0], name="<script>alert(1)</script>")
    page = _page(replace(tiny_result, layers=(evil,), network="<i>net</i>"))
    assert "<script>alert" not in page
    assert "<i>net" not in page


def test_unconfirmed_values_are_marked(resnet_page: str) -> None:
    assert "dram.bandwidth, energy.register" in resnet_page
    assert '<td>dram.bandwidth <span class="mark">unconfirmed</span></td>' in resnet_page


def test_fingerprints_version_and_options_are_on_the_page(resnet_page: str, resnet_result: NetworkResult) -> None:
    for text in (
        resnet_result.network_fingerprint,
        resnet_result.accelerator.fingerprint,
        "<td>0.1.0</td>",
        "<tr><td>objective</td><td>latency</td></tr>",
    ):
        assert text in resnet_page


def test_headlines_of_a_small_run(tiny_result: NetworkResult) -> None:
    assert [(headline.label, headline.value) for headline in headlines(tiny_result)] == [
        ("Latency", "1.05 us"),
        ("Runs/s", "954,654"),
        ("Energy", "1.82 uJ"),
        ("Average power", "1.73 W"),
        ("Utilization", "31 %"),
        ("DRAM traffic", "10.6 KiB"),
        ("MACs", "65.5 k"),
    ]


def test_findings_of_a_small_run(tiny_result: NetworkResult) -> None:
    assert findings(tiny_result) == [
        "One run takes 1.05 us (838 cycles at 800 MHz); over it the PE grid does 31 % of the MACs that it could.",
        "55 % of the cycles are work, 45 % are stalls; the largest cause is “drain”, 29 % (the layer's last "
        "outputs are being requantized and stored).",
        "The longest layer is conv with 71 % of the time.",
        "2 of 3 layers are memory bound, 100 % of the time: conv, pool.",
        "Of 1.82 uJ, 95 % goes to DRAM.",
    ]


def test_findings_of_a_run_that_does_nothing(tiny_result: NetworkResult) -> None:
    assert findings(replace(tiny_result, layers=tiny_result.layers[-1:])) == [
        "One run takes 1.05 us (838 cycles at 800 MHz); over it the PE grid does 0 % of the MACs that it could.",
        "No unit ever waits.",
        "The longest layer is view with 0 % of the time.",
        "No layer is memory bound: the DRAM is never busy for longer than the unit that computes.",
    ]
