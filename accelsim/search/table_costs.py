"""Costs of a search space from a latency table: latency, energy, size and bit operations, layer by layer.

=========  ============================================================  =====================================
cost       of one layer                                                  unit
=========  ============================================================  =====================================
latency    cycles of its run on the accelerator                          cycles
energy     energy of its run                                             that of the energy table (pJ)
size       bytes of its weights                                          bytes
bops       MACs * weight bits * input bits (Baskin et al. 2018,          bit operations
           arXiv 1804.10969, without additions; as HAWQ-V3 counts them)
traffic    bytes from and to DRAM                                        bytes
=========  ============================================================  =====================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

import numpy as np

from accelsim.lut.latency_table import LatencyTable
from accelsim.lut.layer_cost import LayerCost
from accelsim.lut.operand_bits import OperandBits
from accelsim.search.problem import CostTerm
from accelsim.search.space import SearchSpace

#: What a layer costs at some widths, by the cost's name.
COSTS: Mapping[str, Callable[[LayerCost, OperandBits], float]] = {
    "latency": lambda cost, bits: cost.cycles,
    "energy": lambda cost, bits: cost.energy_pj,
    "size": lambda cost, bits: cost.weight_bytes,
    "bops": lambda cost, bits: cost.macs * (bits.weight_bits or 0) * bits.input_bits,
    "traffic": lambda cost, bits: cost.dram_bytes,
}


def table_costs(space: SearchSpace, table: LatencyTable) -> dict[str, tuple[CostTerm, ...]]:
    """Terms of all costs.

    Raises
    ------
    TableError : a layer, or widths of it, that the table has no row for.
    """
    table.check(network=space.network)
    found: dict[str, list[CostTerm]] = {name: [] for name in COSTS}
    for layer, operands in space.layers.items():
        parts = (operands.weights, operands.inputs, operands.output, operands.accumulators)
        names = tuple(dict.fromkeys(space.variable_of[operand] for operand in parts if operand is not None))
        choices = [space.choices[name] for name in names]
        values = {name: np.zeros([len(each) for each in choices]) for name in COSTS}
        for places in product(*(range(len(each)) for each in choices)):
            widths = {name: each[place] for name, each, place in zip(names, choices, places, strict=True)}
            bits = space.layer_bits(layer, widths)
            cost = table.cost(layer, bits)
            for name, measure in COSTS.items():
                values[name][places] = measure(cost, bits)
        for name in COSTS:
            found[name].append(CostTerm(layer, names, values[name]))
    return {name: tuple(terms) for name, terms in found.items()}


def uniform_costs(space: SearchSpace, table: LatencyTable, *, bits: int = 8) -> dict[str, float]:
    """What the network costs with all operands at one width, whatever is fixed: what `0.7x` is relative to.

    Accumulators are as wide as the accelerator's, or as the widest of the table.

    Raises
    ------
    TableError : no rows of that width.
    """
    total = dict.fromkeys(COSTS, 0.0)
    for layer in space.network.layers:
        widest = [row.accumulator_bits for row in table.choices(layer.name)]
        own = table.header.accumulator_bits
        accumulators = None if None in widest else own if own in widest else max(each for each in widest if each is not None)
        operands = space.layers[layer.name]
        asked = OperandBits(bits if layer.is_on_grid else None, bits if operands.inputs else layer.input_bits, bits,
                            accumulators)
        cost = table.cost(layer.name, asked)
        for name, measure in COSTS.items():
            total[name] += measure(cost, asked)
    return total
