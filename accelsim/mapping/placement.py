"""Which activations of a layer are on chip already or stay there."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.hardware.accelerator import Accelerator


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a layer finds its inputs and leaves its output.

    Parameters
    ----------
    resident_inputs : names of input tensors that earlier layers left on chip; they are not loaded.
    keeps_output : the output stays on chip for its readers and is not stored.
    reserved_bytes : what kept activations (its own inputs among them, its output not) take of the buffer that holds
        inputs and outputs while this layer runs.
    """

    resident_inputs: frozenset[str] = frozenset()
    keeps_output: bool = False
    reserved_bytes: int = 0

    def free_bytes(self, accelerator: Accelerator) -> dict[str, int]:
        """Room for this layer's regions by buffer name."""
        home = accelerator.memory.home("inputs")
        return {name: buffer.capacity_bytes - (self.reserved_bytes if name == home else 0)
                for name, buffer in accelerator.memory.buffers.items()}


#: Everything comes from DRAM and goes there.
IN_DRAM = Placement()
