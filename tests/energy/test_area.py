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


ETHOS = with_changes(load_accelerator("ethos_u55_128"), {"pe_grid.zero_points": "fold_into_bias"})


def test_pixels_multiply_the_pes() -> None:
    assert estimate_area(ETHOS).um2["multipliers"] == 128 * 282


def test_subtracting_zero_points_makes_multipliers_one_bit_wider() -> None:
    wider = with_changes(ETHOS, {"pe_grid.precision.input_bits": 9})
    subtracting = with_changes(ETHOS, {"pe_grid.zero_points": "subtract"})
    assert estimate_area(subtracting).um2["multipliers"] == estimate_area(wider).um2["multipliers"] > 128 * 282


def test_adders_are_as_wide_as_the_partial_sums_and_a_row_sum_unit_adds_its_own() -> None:
    # Dally and Han: 36 um2 at 8 bits, 67 at 16, 137 at 32; 20 bits lie a quarter of the way from 16 to 32.
    narrow = with_changes(EDGE, {"pe_grid.partial_sum_bits": 20})
    assert estimate_area(narrow).um2["adders"] == 256 * (67 + (137 - 67) / 4)
    for grid, adders in ((EDGE, 16), (ETHOS, 8 * 2)):
        summing = with_changes(grid, {"pe_grid.row_sum_unit": True})
        assert estimate_area(summing).um2["adders"] == estimate_area(grid).um2["adders"] + adders * 137


def test_a_grid_of_adder_trees_by_hand() -> None:
    """The 4 x 4 grid of the white paper: in each row three adders for products of 16 bits and one for the sum."""
    area = estimate_area(load_accelerator("whitepaper_4x4"))
    assert area.um2["multipliers"] == 16 * 282
    assert area.um2["adders"] == 4 * (3 * 67 + 137)


def test_table_without_areas_gives_reasons_instead_of_numbers() -> None:
    area = estimate_area(with_changes(EDGE, {"energy": "jouppi_7nm"}))
    reason = "the energy table jouppi_7nm has no area for it"
    assert area.um2 == {}
    assert area.omitted == dict.fromkeys(["multipliers", "adders", "accumulators", "buffers.scratchpad"], reason)
