"""`with_changes`: one field at a time, checked as a whole."""

from __future__ import annotations

import pytest

from accelsim.errors import HardwareError
from accelsim.hardware import load_accelerator, load_energy_table, with_changes

EDGE = load_accelerator("edge_16x16")


def test_changed_fields_change_and_all_others_stay() -> None:
    changed = with_changes(EDGE, {"pe_grid.rows": 8, "dram.bandwidth": "51.2 GB/s"})
    assert (changed.pe_grid.rows, changed.dram.bandwidth_bytes_per_second) == (8, 51_200_000_000)
    assert with_changes(changed, {"pe_grid.rows": 16, "dram.bandwidth": "12.8 GB/s"}) == EDGE
    assert EDGE.pe_grid.rows == 16


def test_energy_table_is_changed_by_name_and_list_items_by_number() -> None:
    changed = with_changes(EDGE, {"energy": "jouppi_7nm", "energy.multiply.0.energy": "0.1 pJ", "dram.energy": None})
    assert changed.energy.add == load_energy_table("jouppi_7nm").add
    assert changed.energy.multiply[0].energy_pj == 0.1
    assert changed.dram_pj_per_bit == changed.energy.dram_pj_per_bit


@pytest.mark.parametrize(("changes", "message"), [
    ({"pe_grid.rwos": 8},
     'expected the dotted path of a field, got "pe_grid.rwos" (did you mean "pe_grid.rows"?)'),
    ({"": 8}, 'expected the dotted path of a field, got ""'),
    ({"pe_grid.rows": 0}, "pe_grid.rows: expected at least 1, got 0"),
    ({"accumulators.entries": 1},
     "accumulators.entries: expected at least 2 with double_buffered accumulators, got 1"),
    ({"energy": "eyeriss_relative"},
     "dram.energy: expected none beside an energy table in multiples of a MAC, got 8.0"),
    ({"memory.buffers.scratchpad.holds": ["weights"]},
     "memory.buffers: expected exactly one buffer that holds inputs, got none"),
])
def test_impossible_change_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(HardwareError) as caught:
        with_changes(EDGE, changes)
    assert str(caught.value) == message
