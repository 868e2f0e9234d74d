"""What a tile costs, whatever its size. A tile is one compute step with its loads, its requantization and its store."""

import statistics
import time

import pytest

from accelsim import load_accelerator, with_changes
from accelsim.machine.controller import run_program
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.program import Compute, Program
from accelsim.mapping.tiling import Tiling
from accelsim.workload.layer import Layer
from accelsim.workload.operation import MatMul
from accelsim.workload.tensor import Tensor

MOST_SECONDS_PER_TILE = 150e-6
MOST_DIFFERENCE = 0.20
TILES = 4096

#: Two loads, the compute step, the requantization and the store.
STEPS_PER_TILE = 5


def accelerator_of(dataflow):
    """The default accelerator with room for the largest tiles measured here."""
    return with_changes(load_accelerator("edge_16x16"), {
        "pe_grid.dataflow": dataflow, "memory.buffers.scratchpad.capacity": "1 GiB", "accumulators.entries": 2**24})


def tiled_product(*, m, n, k):
    """A batch of matrix products of these sizes, each a tile of its own that shares nothing with the others."""
    x, w, y = (Tensor(name, (TILES, *shape), 8) for name, shape in (("x", (m, k)), ("w", (n, k)), ("y", (m, n))))
    operation = MatMul(batch=TILES, m=m, k=k, n=n, has_activation_weights=True)
    return Layer("product", operation, (x, w), y), Tiling(groups=1, images=1, rows=m, columns=1, n=n, k=k)


def map_and_run(accelerator, *, m, n, k):
    """Build the program and execute it; returns the run and the program."""
    layer, tiling = tiled_product(m=m, n=n, k=k)
    program = build_grid_program(layer, tiling, accelerator)
    (run,), _ = run_program(accelerator, Program((program,)))
    return run, program


@pytest.mark.benchmark(group="CPU seconds of 4096 tiles", timer=time.process_time)
@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary", "input_stationary", "dot_product"])
def test_a_tile_takes_at_most_150_microseconds_of_cpu(benchmark, cold, keeps, dataflow):
    accelerator = accelerator_of(dataflow)
    _, program = benchmark.pedantic(lambda: map_and_run(accelerator, m=64, n=64, k=64), setup=cold, rounds=5)
    assert sum(isinstance(step, Compute) for step in program.steps) == TILES
    assert len(program.steps) == STEPS_PER_TILE * TILES
    seconds = benchmark.stats.stats.median / TILES
    keeps(what=f"a tile of {TILES} on 16x16 {dataflow}, program and simulation", measured=f"{seconds * 1e6:.0f} us CPU",
          promise=f"at most {MOST_SECONDS_PER_TILE * 1e6:.0f} us", holds=seconds <= MOST_SECONDS_PER_TILE)


@pytest.mark.parametrize("longer", ["m", "n", "k"])
@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary", "input_stationary", "dot_product"])
def test_ten_times_the_macs_in_as_many_tiles_cost_the_same(cold, keeps, dataflow, longer):
    accelerator = accelerator_of(dataflow)
    shapes = {"small": {"m": 64, "n": 64, "k": 64}, "large": {"m": 64, "n": 64, "k": 64, longer: 640}}
    seconds = {name: [] for name in shapes}
    runs = {}
    for _ in range(5):  # in turn, so that both see the same machine
        for name, shape in shapes.items():
            cold()
            started = time.process_time()
            runs[name], _ = map_and_run(accelerator, **shape)
            seconds[name].append(time.process_time() - started)
    assert runs["large"].counts.macs == 10 * runs["small"].counts.macs
    difference = statistics.median(seconds["large"]) / statistics.median(seconds["small"]) - 1
    keeps(what=f"{TILES} tiles on 16x16 {dataflow}, {longer} ten times as long", measured=f"{difference:+.1%} CPU",
          promise=f"within {MOST_DIFFERENCE:.0%}", holds=abs(difference) <= MOST_DIFFERENCE)
