"""The grid of an output-stationary design."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib.wiring import In, Out

from accelsim.rtl.design import GridDesign
from accelsim.rtl.output_pe import OutputPe, accumulators_vector
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.pass_edge import chosen_passes, entering_digits, pass_ports
from accelsim.rtl.pe_row import PeRow
from accelsim.rtl.registers import delayed, numbered, shape_of, vector
from accelsim.rtl.skew import skewed


class OutputGrid(Part):
    """R x C output-stationary PEs: inputs to the right, weights down, results down or to the right.

    Ports
    -----
    inputs : In, vector over the rows
        One reduction step of R positions (times the pixels).
    weights : In, vector over the columns
        The same step of C output channels.
    biases : In, vector over the columns (with preloaded biases)
        Of those channels, at a block's first step.
    adds, starts, captures : In, 1 bit
        As of the first PE.
    passes : In (where steps have several passes)
        Which digits of inputs and weights enter.
    mode : In (where PEs have modes)
        For all PEs.
    injects : In, vector of R (drained along the rows: C) x 1 bit
        Which row's (column's) turn on the bus it is; at most one.
    results : Out, vector over the lanes
        Lane i's result of slot s, ``lag + i hop`` cycles after that slot's injection.
    """

    module_name = "grid"

    def __init__(self, design: GridDesign, *, hierarchy: Hierarchy | None = None) -> None:
        self._design = design
        ports: dict[str, Any] = {
            "inputs": In(vector(vector(shape_of(design.arithmetic.factor.whole), design.pixels), design.rows)),
            "weights": In(vector(shape_of(design.arithmetic.weight.whole), design.columns)),
            "adds": In(1), "starts": In(1), "captures": In(1), "injects": In(vector(unsigned(1), design.drain_slots)),
            "results": Out(vector(accumulators_vector(design), design.lanes))}
        if design.accumulators.preloads_bias:
            ports["biases"] = In(vector(vector(accumulators_vector(design).elem_shape, design.channels), design.columns))
        ports |= pass_ports(design)
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, design = Module(), self._design
        down, right = design.grid.registers_per_row_hop, design.grid.registers_per_column_hop
        inputs, weights = (entering_digits(m, self, design, name, words)
                           for name, words in (("factor", self.inputs), ("weight", self.weights)))
        inputs = skewed(m, self.hierarchy, "inputs", inputs, step=down)
        injects = skewed(m, self.hierarchy, "injects", self.injects, step=right if design.drains_sideways else down,
                         is_reset=True)
        top = {"weight": skewed(m, self.hierarchy, "weights", weights, step=right)}
        if design.accumulators.preloads_bias:
            top["bias"] = skewed(m, self.hierarchy, "biases", self.biases, step=right)
        if design.drains_sideways:
            top["injects"] = injects
        control = {name: getattr(self, name) for name in ("adds", "starts", "captures")}
        if design.arithmetic.has_passes:
            control["passes"] = chosen_passes(m, design, self.passes)
        above: Any = None
        for place in range(design.rows):
            row = self.hierarchy.place(m, numbered("row", place, design.rows), PeRow, design, OutputPe)
            if above is not None:
                top = {name: getattr(above, f"{name}_below") for name in top}
                control = {name: delayed(m, value, down, name=f"{name}_row_{place}", is_reset=True)
                           for name, value in control.items()}
            m.d.comb += [getattr(row, name).eq(value) for name, value in control.items()]
            m.d.comb += [getattr(row, f"{name}_above").as_value().eq(value.as_value()) for name, value in top.items()]
            m.d.comb += row.inputs.eq(inputs[place])
            if design.arithmetic.has_mode:
                m.d.comb += row.mode.eq(self.mode)
            self._drain(m, row, above, injects, place)
            above = row
        if not design.drains_sideways:
            m.d.comb += self.results.eq(delayed(m, above.results, design.grid.extra_stages, name="edge_stages"))
        return m

    def _drain(self, m: Module, row: Any, above: Any, injects: Any, place: int) -> None:
        """The bus of a row, or of its place in the columns."""
        if self._design.drains_sideways:
            m.d.comb += row.drained.as_value().eq(0)
            name = numbered("edge_stages", place, self._design.rows)
            m.d.comb += self.results[place].eq(
                delayed(m, row.results[self._design.columns - 1], self._design.grid.extra_stages, name=name))
            return
        m.d.comb += row.injects.eq(injects[place])
        if above is None:
            m.d.comb += row.drained_above.as_value().eq(0)
        else:
            m.d.comb += row.drained_above.eq(above.drained_below)
