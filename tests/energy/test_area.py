"""Areas by hand."""

from __future__ import annotations

from accelsim.energy import estimate_area
from accelsim.hardware import load_accelerator, with_changes

EDGE = load_accelerator("edge_16x16")


def test_grid_of_16x16_int8_pes_by_hand() -> None:
    area = estimate_area(EDGE)
    assert area.um2 == {
        "multipliers": 256 * 282, "adders": 256 * 137,
        "accumulators": 128 * 1024 * 8 * 0.83, "buffers.scratchpad": 512 * 1024 * 8 * 0.83}
    assert area.total_um2 == sum(area.um2.values())
    assert area.omitted == {}


def test_pixels_multiply_the_pes() -> None:
    assert estimate_area(load_accelerator("ethos_u55_128")).um2["multipliers"] == 128 * 282


def test_table_without_areas_gives_reasons_instead_of_numbers() -> None:
    area = estimate_area(with_changes(EDGE, {"energy": "jouppi_7nm"}))
    reason = "the energy table jouppi_7nm has no area for it"
    assert area.um2 == {}
    assert area.omitted == dict.fromkeys(["multipliers", "adders", "accumulators", "buffers.scratchpad"], reason)
