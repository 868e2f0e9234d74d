"""Why the unit that executes a layer stood still: one word per cause.

A cycle is charged to the first cause that holds it, in the order in which a unit needs things.
"""

from __future__ import annotations

#: Cause -> what the executing unit (PE grid or vector unit) waited for.
STALL_CAUSES: dict[str, str] = {
    "weights": "its weights (or tables) are on their way",
    "activations": "its input activations are on their way",
    "dram": "the transfer that it needs stands in line while the DRAM serves another",
    "program_order": "the transfer that it needs stands behind one that is not ready yet, and the DRAM is idle",
    "buffer_port": "the on-chip buffer delivers fewer bytes a cycle than the unit could take",
    "requantizer": "the accumulators are still being requantized",
    "output_room": "the output buffer is full until a store has left",
    "drain": "the layer's last outputs are being requantized and stored",
}
