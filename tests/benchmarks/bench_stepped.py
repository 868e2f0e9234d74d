"""How many clock cycles of a 16x16 grid the stepped engine moves in a second, integers included."""

import statistics
import time

import numpy as np
import pytest

from accelsim.machine.stepped.step_run import run_step
from accelsim.mapping.fold_plan import BlockShape
from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.axis import Axis
from accelsim.numerics.register import Register

LEAST_CLOCKS_PER_SECOND = 50_000
REPEATS = 5

#: A matrix product of 64 x 512 by 512 x 256: 64 to 512 folds.
WORK = GemmWork(groups=1, images=1, rows=Axis(64, 64), columns=Axis(1, 1), channels=512, n=256, has_channel_groups=False,
                weight_bits=8, input_bits=8, output_bits=8)
BLOCK = BlockShape(groups=1, positions=64, n=256, k_first=0, k=512)


@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary", "input_stationary", "dot_product"])
def test_the_stepped_grid_moves_50_000_clock_cycles_a_second(make_grid, keeps, dataflow):
    chip, rng = make_grid(16, dataflow), np.random.default_rng(0)
    inputs, weights = rng.integers(-128, 128, (1, 64, 512)), rng.integers(-128, 128, (1, 256, 512))
    start, register = np.zeros((1, 1, 256), np.int64), Register(32, "wrap")
    speeds = []
    for _ in range(REPEATS):
        started = time.process_time()
        run = run_step(chip.pe_grid, WORK, BLOCK, inputs=inputs, weights=weights, start=start, is_held=False,
                       accumulator=register, wires=register)
        speeds.append(run.clocks / (time.process_time() - started))
    np.testing.assert_array_equal(run.held, inputs @ weights.transpose(0, 2, 1))
    speed = statistics.median(speeds)
    keeps(what=f"stepped 16x16 {dataflow}, {len(run.folds)} folds, {run.clocks:,} clock cycles with integers",
          measured=f"{speed:,.0f} clock cycles a second of CPU", promise=f"at least {LEAST_CLOCKS_PER_SECOND:,}",
          holds=speed >= LEAST_CLOCKS_PER_SECOND)
