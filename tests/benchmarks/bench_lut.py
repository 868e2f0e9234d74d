"""Latency tables of ResNet-50 on two processors: from cold, and from the store. Workers are new processes each time.

The clock counts, so the processors must be idle; the CPU seconds of all processes stand beside it.
"""

import os
import time

import pytest

from accelsim import load_accelerator, load_network
from accelsim.lut.store import Store
from accelsim.lut.table_builder import build_table

BITS, WORKERS = (2, 3, 4, 6, 8), 2

#: Seconds on the clock.
MOST_FOR_PAIRS, MOST_FOR_TRIPLES, MOST_FROM_STORE = 20.0, 90.0, 2.0


def timed(path, chip, output_bits):
    """(seconds, CPU seconds, table), the reading of network and accelerator included."""
    start, before = time.perf_counter(), sum(os.times()[:4])
    with Store(path) as store:
        table = build_table(load_network("resnet50"), load_accelerator(chip), weight_bits=BITS, input_bits=BITS,
                            output_bits=output_bits, store=store, workers=WORKERS)
    return time.perf_counter() - start, sum(os.times()[:4]) - before, table


@pytest.mark.parametrize("chip", ["edge_16x16", "bitfusion_16x32"])
@pytest.mark.parametrize(("what", "output_bits", "most"), [
    ("25 pairs of bits, outputs at 8", (8,), MOST_FOR_PAIRS), ("125 triples of bits", None, MOST_FOR_TRIPLES)])
def test_a_table_is_made_in_time_and_comes_from_the_store_at_once(cold, keeps, tmp_path, chip, what, output_bits, most):
    cold()
    seconds, cpu_seconds, table = timed(tmp_path / "runs.sqlite", chip, output_bits)
    cold()
    again, _, same = timed(tmp_path / "runs.sqlite", chip, output_bits)
    assert same == table
    keeps(what=f"table of ResNet-50 on {chip}, {what}, {len(table.costs):,} rows, from the store", measured=f"{again:.2f} s",
          promise=f"less than {MOST_FROM_STORE:g} s", holds=again < MOST_FROM_STORE)
    keeps(what=f"the same from cold, {WORKERS} workers", measured=f"{seconds:.1f} s ({cpu_seconds:.0f} s CPU)",
          promise=f"at most {most:g} s", holds=seconds <= most)
