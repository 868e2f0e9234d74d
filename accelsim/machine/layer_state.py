"""What the units of the machine share about the layer that they work on: tokens, regions and tallies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any

import simpy

from accelsim.hardware.memory import OPERANDS, Memory, Operand
from accelsim.machine.dram import Grant
from accelsim.machine.ledger import Ledger
from accelsim.machine.recorder import Recorder
from accelsim.machine.region import Level, Region
from accelsim.machine.values.carrier import Carrier
from accelsim.mapping.program import LayerProgram, Load, Requantize, Store, VectorCompute
from accelsim.results.counts import Counts


class LayerState:
    """Born when a layer's first transfer may start, dead when its last step has retired.

    Holds which loads have landed and which blocks have been requantized, the regions of the operands, the
    counts that identity 2 is checked with, and who carries the layer's integers, if the run has any.
    """

    def __init__(
        self, environment: simpy.Environment, program: LayerProgram, memory: Memory, recorder: Recorder,
        carrier: Carrier | None = None
    ) -> None:
        self.program = program
        self.carrier = carrier
        self.name = program.layer
        self._homes = {operand: memory.home(operand) for operand in OPERANDS}
        reserved = {self._homes["inputs"]: program.placement.reserved_bytes}
        self._levels = {name: Level(reserved.get(name, 0)) for name in memory.buffers}
        self.regions = {
            operand: Region(environment, name=operand, capacity_bytes=program.region_bytes[operand],
                            level=self._levels[self._homes[operand]], recorder=recorder)
            for operand in OPERANDS}
        self.ledger = Ledger(0)
        self.done = environment.event()
        self.macs = 0
        self.accumulator_updates = 0
        self.requantized_outputs = 0
        self.vector_operations = 0
        self.ideal_cycles = 0
        self.dram_cycles = 0
        self.dram_bus_bytes = 0
        self.buffer_reads: Counter[str] = Counter()
        self.buffer_writes: Counter[str] = Counter()
        self.dram_reads: Counter[str] = Counter()
        self.dram_writes: Counter[str] = Counter()
        self.turns: dict[int, int] = {}
        self._environment = environment
        self._load_bytes: dict[int, tuple[Operand, int]] = {}
        self._grants: dict[int, Grant] = {}
        self._load_waiters: dict[int, simpy.Event] = {}
        self._finished_blocks: set[int] = set()
        self._block_waiters: dict[int, simpy.Event] = {}
        self._remaining = 0
        self._output_bytes = 0
        self._prepare()

    def _prepare(self) -> None:
        taken: Counter[str] = Counter()
        stores = blocks = 0
        for step in self.program.steps:
            if isinstance(step, Load):
                self.turns[step.number] = taken[step.operand]
                taken[step.operand] += 1
                self._load_bytes[step.number] = (step.operand, step.tile_bytes)
            elif isinstance(step, Store):
                stores += 1
            elif isinstance(step, Requantize | VectorCompute):
                blocks += 1
                self._output_bytes += step.output_bytes
        self._remaining = blocks if self.program.placement.keeps_output else stores

    # Loads -------------------------------------------------------------------------------------------------------

    def arrive(self, number: int, grant: Grant) -> None:
        """A load is in its region."""
        self._grants[number] = grant
        waiter = self._load_waiters.pop(number, None)
        if waiter is not None:
            waiter.succeed()

    def wait_for_load(self, number: int) -> Generator[Any, Any, None]:
        """Wait until a load has landed."""
        if number not in self._grants:
            event = self._load_waiters[number] = self._environment.event()
            yield event

    def free(self, loads: tuple[int, ...]) -> None:
        """Tiles that no later step needs give their room back."""
        for number in loads:
            operand, size = self._load_bytes[number]
            self.regions[operand].release(size)
        if self.carrier is not None:
            self.carrier.free(loads)

    def charge_wait(self, number: int, *, until: int) -> None:
        """The unit waited for this load until now: in line behind transfers that were not ready, then behind busy ones,
        then for the operand on its way."""
        grant = self._grants[number]
        self.ledger.stall("program_order", min(grant.first - grant.busy_cycles, until))
        self.ledger.stall("dram", min(grant.first, until))
        self.ledger.stall("weights" if self._load_bytes[number][0] == "weights" else "activations", until)

    def count_load(self, load: Load, grant: Grant) -> None:
        self.dram_reads[load.operand] += load.tile_bytes
        self.buffer_writes[self._homes[load.operand]] += load.tile_bytes
        self._count_bus(load.bus_bytes, grant)

    # Outputs -----------------------------------------------------------------------------------------------------

    def finish_block(self, block: int, output_bytes: int) -> None:
        """Outputs of a block are in their region."""
        self.buffer_writes[self._homes["outputs"]] += output_bytes
        self._finished_blocks.add(block)
        waiter = self._block_waiters.pop(block, None)
        if waiter is not None:
            waiter.succeed()
        if self.program.placement.keeps_output:
            self.retire()

    def wait_for_outputs(self, block: int) -> Generator[Any, Any, None]:
        if block not in self._finished_blocks:
            event = self._block_waiters[block] = self._environment.event()
            yield event

    def count_store(self, store: Store, grant: Grant) -> None:
        self.dram_writes["outputs"] += store.tile_bytes
        self.buffer_reads[self._homes["outputs"]] += store.tile_bytes
        self._count_bus(store.bus_bytes, grant)

    def count_reads(self, read_bytes: tuple[tuple[str, int], ...]) -> None:
        """The executing unit read these bytes, by buffer."""
        for name, size in read_bytes:
            self.buffer_reads[name] += size

    def retire(self) -> None:
        """One of the steps that end the layer is over."""
        self._remaining -= 1
        if self._remaining == 0:
            self.done.succeed()

    @property
    def kept_output_bytes(self) -> int:
        """What the layer leaves on chip for its readers."""
        return self._output_bytes if self.program.placement.keeps_output else 0

    def peak_buffer_bytes(self) -> dict[str, int]:
        return {name: level.peak_bytes for name, level in self._levels.items()}

    def counts(self) -> Counts:
        """The tallies as a result; operand widths are filled in by whoever knows the layer."""
        return Counts(
            macs=self.macs, accumulator_updates=self.accumulator_updates, requantized_outputs=self.requantized_outputs,
            vector_operations=self.vector_operations, buffer_read_bytes=dict(self.buffer_reads),
            buffer_write_bytes=dict(self.buffer_writes), dram_read_bytes=dict(self.dram_reads),
            dram_write_bytes=dict(self.dram_writes), dram_bus_bytes=self.dram_bus_bytes)

    def _count_bus(self, bus_bytes: int, grant: Grant) -> None:
        self.dram_bus_bytes += bus_bytes
        self.dram_cycles += grant.last - grant.first
