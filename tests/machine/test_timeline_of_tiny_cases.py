"""Whole timelines of cases small enough to follow by hand."""

from accelsim.hardware import Accelerator, with_changes
from accelsim.machine.controller import run_program
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.program import Program
from accelsim.mapping.tiling import Tiling
from accelsim.mapping.vector_program import build_vector_program
from accelsim.workload.layer import Layer
from accelsim.workload.operation import Elementwise, MatMul
from accelsim.workload.tensor import Tensor


def tiny_accelerator(*, overlap="full", double_buffered=True, read_latency="3 cycles", preloads=True, **grid):
    """A 4x4 grid, 8 bytes a cycle from DRAM, one scratchpad."""
    return Accelerator.model_validate({
        "schema_version": 1, "name": "tiny", "clock": "1 GHz",
        "pe_grid": {"rows": 4, "columns": 4, "dataflow": "weight_stationary", "overlap": overlap, **grid},
        "accumulators": {"entries": 64, "double_buffered": double_buffered},
        "requantizer": {"lanes": 4, "latency_cycles": 2}, "vector_unit": {"lanes": 4, "latency_cycles": 1},
        "memory": {"buffers": {"scratchpad": {
            "capacity": "64 KiB", "holds": ["weights", "inputs", "outputs"], "bytes_per_cycle": 64,
            "double_buffered": double_buffered}}},
        "dma": {"queues": 2, "burst": "8 B", "issue_cycles": 1},
        "dram": {"bandwidth": "8 GB/s", "read_latency": read_latency, "write_latency": "1 cycle", "burst": "8 B"},
        "energy": {"name": "unit", "technology": "none", "source": "none", "multiply": [{"bits": 8, "energy": "1 pJ"}],
                   "add": [{"bits": 8, "energy": "1 pJ"}], "register": "1 pJ/bit", "dram": "1 pJ/bit",
                   "sram": [{"capacity": "1 KiB", "access_bits": 8, "energy": "1 pJ"}]}})


def matmul_layer(m, k, n, name="fc"):
    return Layer(name, MatMul(m=m, k=k, n=n), (Tensor("x", (m, k), 8),), Tensor("y", (m, n), 8),
                 weights=Tensor("w", (n, k), 8, is_constant=True))


def events(accelerator, program):
    runs, timeline = run_program(accelerator, Program((program,)), records_timeline=True)
    spans = [(span.start_cycle, span.end_cycle, span.unit, span.label) for span in timeline.spans
             if span.unit != "accumulators"]
    return runs[0], spans


def test_one_tile_goes_load_preload_stream_requantize_store():
    accelerator = tiny_accelerator()
    program = build_grid_program(matmul_layer(8, 4, 4), Tiling(1, 1, 8, 1, 4, 4), accelerator)
    run, spans = events(accelerator, program)
    assert spans == [
        # 16 B of weights: bus 0..2, there 3 cycles later. 32 B of inputs: bus 2..6, in the other queue.
        (0, 5, "dma.0", "load weights"),
        (0, 9, "dma.1", "load inputs"),
        (5, 9, "pe_grid.preload", "preload"),  # four rows of weights
        (9, 17, "pe_grid", "stream"),  # eight positions
        (23, 33, "requantizer", "requantize"),  # tail 4 + 4 - 2 = 6; then 2 + 32 / 4
        (33, 38, "dma.0", "store outputs"),  # 32 B and one cycle of write latency
    ]
    assert run.total_cycles == 38
    assert run.compute_cycles == 4 + 8 + 6
    assert run.stall_cycles == {"weights": 5, "drain": 15}


def test_two_buffers_hide_the_shorter_of_load_and_compute():
    # Two blocks of 8 positions; the second block's inputs arrive while the first streams.
    accelerator = tiny_accelerator()
    tiling = Tiling(1, 1, 8, 1, 4, 4, order="weights_outer", weight_scope="block", input_scope="slice")
    run, spans = events(accelerator, build_grid_program(matmul_layer(16, 4, 4), tiling, accelerator))
    assert spans == [
        (0, 5, "dma.0", "load weights"),
        (0, 9, "dma.1", "load inputs"),
        (5, 9, "pe_grid.preload", "preload"),
        (5, 13, "dma.0", "load inputs"),  # queue 0 is free at 5, the bus at 6: 6..10, there at 13
        (9, 13, "pe_grid.preload", "preload"),  # the same weights for the second block, behind the stream
        (9, 17, "pe_grid", "stream"),
        (17, 25, "pe_grid", "stream"),
        (23, 33, "requantizer", "requantize"),
        (33, 38, "dma.1", "store outputs"),
        (33, 43, "requantizer", "requantize"),  # complete at 25 + 6, but the first block is not through
        (43, 48, "dma.0", "store outputs"),
    ]
    assert run.total_cycles == 48
    assert run.compute_cycles == 4 + 16 + 6
    assert run.stall_cycles == {"weights": 5, "drain": 17}


def test_a_grid_without_overlap_loads_streams_and_drains_one_fold_after_the_other():
    accelerator = tiny_accelerator(overlap="none")
    run, spans = events(accelerator, build_grid_program(matmul_layer(8, 8, 4), Tiling(1, 1, 8, 1, 4, 8), accelerator))
    streams = [span for span in spans if span[2].startswith("pe_grid")]
    assert streams == [(15, 15 + 2 * (2 * 4 + 4 + 8 - 2), "pe_grid", "stream")]
    assert run.compute_cycles == 2 * (2 * 4 + 4 + 8 - 2)


def test_single_buffers_wait_for_the_tile_before():
    accelerator = tiny_accelerator(double_buffered=False)
    tiling = Tiling(1, 1, 8, 1, 4, 4, order="weights_outer", weight_scope="block", input_scope="slice")
    run, spans = events(accelerator, build_grid_program(matmul_layer(16, 4, 4), tiling, accelerator))
    loads = [span for span in spans if span[3] == "load inputs"]
    streams = [span for span in spans if span[3] == "stream"]
    assert loads == [(0, 9, "dma.1", "load inputs"), (17, 24, "dma.0", "load inputs")]  # room only when the stream is over
    assert streams == [(9, 17, "pe_grid", "stream"), (33, 41, "pe_grid", "stream")]  # the accumulators are free at 33
    assert run.stall_cycles["activations"] == 1
    assert run.stall_cycles["requantizer"] == 9


def test_the_vector_unit_pays_its_latency_once_a_range():
    accelerator = tiny_accelerator()
    x, y, z = (Tensor(name, (1, 4, 2, 2), 8) for name in "xyz")
    layer = Layer("add", Elementwise("add", (1, 4, 2, 2)), (x, y), z)
    run, spans = events(accelerator, build_vector_program(layer, accelerator))
    assert spans == [
        (0, 5, "dma.0", "load inputs"),
        (0, 7, "dma.1", "load inputs"),
        (7, 12, "vector_unit", "vector"),
        (12, 15, "dma.0", "store outputs"),
    ]
    assert run.compute_cycles == 1 + 16 // 4
    assert run.stall_cycles == {"activations": 7, "drain": 3}


def test_input_stationary_preloads_the_inputs_and_streams_the_weights():
    accelerator = tiny_accelerator(dataflow="input_stationary")
    run, spans = events(accelerator, build_grid_program(matmul_layer(4, 4, 8), Tiling(1, 1, 4, 1, 8, 4), accelerator))
    assert spans[:4] == [
        (0, 7, "dma.0", "load weights"),  # 32 B: bus 0..4
        (0, 9, "dma.1", "load inputs"),  # 16 B: bus 4..6
        (9, 13, "pe_grid.preload", "preload"),  # four rows of inputs
        (13, 21, "pe_grid", "stream"),  # eight channels of weights
    ]
    assert run.compute_cycles == 4 + 8 + 6
    assert run.stall_cycles["dram"] == 4  # the inputs stand in line behind the weights
    assert run.stall_cycles["activations"] == 5
    assert "weights" not in run.stall_cycles


def test_a_load_behind_a_store_that_is_not_ready_waits_for_program_order_not_for_a_busy_dram():
    """Four blocks, a requantizer of one lane, stores before the loads of the step after the next: the DRAM is idle."""
    accelerator = tiny_accelerator(read_latency="0 cycles")
    slow = with_changes(accelerator, {"requantizer.lanes": 1, "dram.bandwidth": "8000 GB/s"})
    tiling = Tiling(1, 1, 8, 1, 4, 4, order="weights_outer", weight_scope="block", input_scope="slice")
    run, _ = events(slow, build_grid_program(matmul_layer(32, 4, 4), tiling, slow))
    assert run.stall_cycles.get("dram", 0) <= run.dram_cycles
    assert run.stall_cycles["program_order"] > 0
