"""The integers that a run carries: tiles of operands, accumulators, outputs. Time never depends on them."""
