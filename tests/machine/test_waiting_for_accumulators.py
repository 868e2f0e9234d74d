"""What the grid waited for when both halves of the accumulators were full: the requantizer, or room for its outputs."""

from accelsim.hardware import load_accelerator, with_changes
from accelsim.machine.controller import run_program
from accelsim.mapping.grid_program import build_grid_program
from accelsim.mapping.placement import Placement
from accelsim.mapping.program import Program
from accelsim.mapping.tiling import Tiling
from accelsim.workload.layer import Layer
from accelsim.workload.operation import MatMul
from accelsim.workload.tensor import Tensor

SLOW_REQUANTIZER = with_changes(load_accelerator("edge_16x16"), {"requantizer.lanes": 1, "requantizer.latency_cycles": 0})
LAYER = Layer("fc", MatMul(m=8, k=16, n=64), (Tensor("x", (8, 16), 8),), Tensor("y", (8, 64), 8),
              weights=Tensor("w", (64, 16), 8, is_constant=True))
TILING = Tiling(1, 1, 8, 1, 16, 16, weight_scope="layer")


def stalls(placement):
    program = build_grid_program(LAYER, TILING, SLOW_REQUANTIZER, placement)
    (run,), _ = run_program(SLOW_REQUANTIZER, Program((program,)))
    return run.stall_cycles


def test_a_slow_requantizer_is_named_although_it_begins_the_next_block_as_it_frees_one():
    # Four blocks of 128 outputs, 128 cycles each, into room for all of them.
    found = stalls(Placement(keeps_output=True))
    assert "output_room" not in found
    assert found["requantizer"] > 128
