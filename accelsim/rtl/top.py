"""The whole design: controller, grid, accumulator lanes and requantizer."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data

from accelsim.rtl.accumulator_lane import AccumulatorLane
from accelsim.rtl.design import GridDesign
from accelsim.rtl.dot_grid import DotGrid
from accelsim.rtl.dot_row import tree_vector
from accelsim.rtl.drain_controller import DrainController
from accelsim.rtl.fold_controller import FoldController
from accelsim.rtl.lane_control import lane_control
from accelsim.rtl.output_grid import OutputGrid
from accelsim.rtl.part import MODULE_BITS, Hierarchy, Part
from accelsim.rtl.products.codebook import Codebook, CodebookArithmetic
from accelsim.rtl.registers import delayed, kept, numbered, shape_of, shaped
from accelsim.rtl.requantizer import Requantizer, plural, requested_vector
from accelsim.rtl.requantizer_lane import channel_ports
from accelsim.rtl.skew import skewed
from accelsim.rtl.systolic_grid import SystolicGrid
from accelsim.rtl.top_ports import top_ports


class Top(Part):
    """A PE grid with accumulators and requantizer. Operands, biases and multipliers come from buffers outside.

    A row of the stationary operand is taken in a cycle with `load_valid` and `load_ready`, a streamed operand in one with
    `stream_valid` and `stream_ready`; what is offered stays until it is taken. From the first cycle in which something is
    offered to the last `fold_done`, both inclusive, the folds take the cycles of `accelsim.mapping.fold`, as long as both
    channels always have something to offer.

    Ports
    -----
    table_valid, table_address, table_entry : In; where weights are decoded
        Store an entry of the table, in any cycle in which no weights are on their way in.
    load_valid, load_ready : In, Out; not of an output-stationary grid
        Handshake of a row of the stationary operand; the first of a fold's R rows belongs to the grid's first row. Where PEs
        load from banks of their own: of one of the P cycles of a fold's preload (P = 0: of the fold).
    takes : Out, vectors over rows and columns; where PEs load from banks
        Which PEs take what stands first in their banks; the next one stands there a cycle later. A PE takes its operands
        in its own time, as late as its streamed ones.
    weights, inputs : In, vectors over the columns (stationary: one row of the grid) or the rows (streamed; output-stationary
        weights: the columns; dot_product inputs: the columns); from banks, what stands first in each, row by row
        Words of operands, as the file's head says; several pixels have one each.
    biases : In, vector
        Where PEs work on several channels, those of one lane after the other.
        Weight stationary: of the columns' channels, with the fold's last row. dot_product: of the row's channel, with each
        row; from banks, of the rows' channels in the last cycle of the preload. Input stationary: of the streamed channel.
        Output stationary: of the columns' channels, with a block's first step. They are kept as the accumulators keep a sum.
    stream_valid, stream_ready : In, Out
        Handshake of a streamed operand.
    stream_last : In
        It is its fold's last.
    stream_starts : In
        Its sums are the first of their block: they start from the bias.
    stream_address, stream_half : In
        Entry of its sums. Output stationary: with the last, of the grid's first row (column); the others' follow.
    stream_part : In; where PEs work on several channels
        Which of the entry's sums, in modes with fewer (see `AccumulatorLane`).
    stream_lanes : In, vector over the lanes
        Whether they have sums.
    stream_drains, stream_count : In; output stationary only
        With the last: the sums are complete, and of how many rows (columns).
    stream_steps : In; output stationary with overlap only
        With the first: how many steps its fold streams, or the rows (columns) of the grid where there are more.
    fold_done : Out
        A fold's last sum is being stored.
    read_valid, read_address, read_half, read_group : In
        A request for outputs: an entry, and of its accumulators (channels before pixels before lanes) the group-th as many
        as the requantizer has lanes.
    multipliers, shifts, addends, biases of outputs : In, vectors
        Of the request's channels (`requantizer_lane.channel_ports`).
    mode, weight_digits, input_digits, is_depthwise, input_zero_point, output_zero_point, clamp_min, clamp_max : In
        They do not change while a layer runs.
    outputs_valid, outputs : Out
        Of a request, the requantizer's latency later; without a requantizer the entry itself.
    """

    def __init__(self, design: GridDesign, *, name: str = "top", hierarchy: Hierarchy | None = None) -> None:
        self._design, self.module_name = design, name
        super().__init__(top_ports(design), hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._design.is_output_stationary:
            control, lanes_enabled, sums = self._output_stationary(m)
            lanes = self._lanes(m, control, lanes_enabled, sums, biases=None)
        else:
            controller, sums = self._stationary(m)
            control = self._control_of_stream(m, controller)
            lanes = self._lanes(m, control, self.stream_lanes, sums, biases=controller)
        m.d.comb += self.fold_done.eq(lanes[-1].done)
        self._read(m, lanes)
        return m

    def _entering_inputs(self, m: Module, inputs: Any) -> Any:
        """Inputs as they enter the grid: with `subtract` less their zero point."""
        design = self._design
        if design.grid.zero_points != "subtract":
            return inputs
        port, bits = self.input_zero_point.shape(), len(self.input_zero_point)
        whole = shape_of(design.arithmetic.factor.whole)
        flat = inputs.as_value()
        less = Signal(data.ArrayLayout(whole, len(flat) // bits), name="inputs_less_zero_point")
        m.d.comb += [less[place].eq(shaped(flat[place * bits:(place + 1) * bits], port) - self.input_zero_point)
                     for place in range(less.shape().length)]
        return less

    def _entering_weights(self, m: Module, weights: Any) -> Any:
        """Weights as they enter the grid: decoded, where they are places in a table."""
        arithmetic = self._design.arithmetic
        if not isinstance(arithmetic, CodebookArithmetic):
            return weights
        flat, bits = weights.as_value(), arithmetic.weight.port.bits
        lanes = len(flat) // bits
        decoded = Signal(data.ArrayLayout(shape_of(arithmetic.weight.whole), lanes), name="decoded_weights")
        for lane in range(lanes):
            table = self.hierarchy.place(m, numbered("codebook", lane, lanes), Codebook, arithmetic)
            m.d.comb += [table.write.eq(self.table_valid), table.address.eq(self.table_address),
                         table.entry.eq(self.table_entry), table.index.eq(flat[lane * bits:(lane + 1) * bits]),
                         decoded[lane].eq(table.weight)]
        return decoded

    def _kept_bias(self, bias: Any) -> Any:
        design = self._design
        return kept(bias, design.accumulators.bits, design.accumulators.overflow)

    def _stationary(self, m: Module) -> tuple[Any, Any]:
        """Controller and grid of weights or inputs that stay; returns the controller and the grid's sums."""
        design = self._design
        controller = self.hierarchy.place(m, "controller", FoldController, design)
        inputs, weights = self._entering_inputs(m, self.inputs), self._entering_weights(m, self.weights)
        stationary, streamed = (inputs, weights) if design.keeps_inputs else (weights, inputs)
        m.d.comb += [controller.load_valid.eq(self.load_valid), self.load_ready.eq(controller.load_ready),
                     controller.stream_valid.eq(self.stream_valid), self.stream_ready.eq(controller.stream_ready),
                     controller.stream_last.eq(self.stream_last)]
        m.d.comb += [getattr(controller, name).eq(getattr(self, name)) for name in design.mode_ports]
        grids = self._grids(m)
        rows = design.rows // len(grids)
        sums: list[Any] = []
        for place, grid in enumerate(grids):
            own = slice(place * rows, (place + 1) * rows)
            m.d.comb += [grid.loads.as_value().eq(controller.loads.as_value()[own]),
                         grid.streamed.as_value().eq(streamed.as_value())]
            bits = len(grid.stationary.as_value())
            first = place * bits if design.loads_from_banks else 0
            m.d.comb += grid.stationary.as_value().eq(stationary.as_value()[first:first + bits])
            if design.loads_from_banks:
                pes = rows * design.columns
                m.d.comb += self.takes.as_value()[place * pes:(place + 1) * pes].eq(grid.takes.as_value())
            if design.has_two_registers:
                m.d.comb += [grid.load_bank.eq(controller.load_bank), grid.bank.eq(controller.bank)]
            self._set_mode(m, controller, grid)
            sums += list(grid.sums)
        return controller, sums

    def _grids(self, m: Module) -> list[Any]:
        """The grid, or a dot_product grid in several of fewer rows, each of which is small enough for a module."""
        design = self._design
        if not design.is_dot_product:
            return [self.hierarchy.place(m, "grid", SystolicGrid, design)]
        count = next(count for count in range(1, design.rows + 1)
                     if design.rows % count == 0 and design.rows // count * tree_vector(design).size <= MODULE_BITS)
        return [self.hierarchy.place(m, "grid" if count == 1 else numbered("grid", place, count), DotGrid, design,
                                     design.rows // count) for place in range(count)]

    def _set_mode(self, m: Module, controller: Any, grid: Any) -> None:
        """The mode of a grid, and the passes of this cycle."""
        design = self._design
        if design.arithmetic.has_mode:
            m.d.comb += grid.mode.eq(self.mode)
        if design.arithmetic.has_passes:
            m.d.comb += grid.passes.eq(controller.passes)

    def _control_of_stream(self, m: Module, controller: Any) -> Any:
        """The control of the first lane, as the operands enter."""
        design = self._design
        control = Signal(lane_control(design), name="control")
        m.d.comb += [control.valid.eq(controller.streams), control.last.eq(self.stream_last),
                     control.starts.eq(self.stream_starts), control.address.eq(self.stream_address)]
        if design.halves == 2:
            m.d.comb += control.half.eq(self.stream_half)
        if design.channels > 1:
            m.d.comb += control.part.eq(self.stream_part)
        if design.has_bias_slots and design.bias_slots > 1:
            m.d.comb += control.slot.eq(controller.slot)
        if design.has_streamed_bias:
            m.d.comb += [control.bias[channel].eq(self._kept_bias(self.biases[channel]))
                         for channel in range(design.channels)]
        return control

    def _output_stationary(self, m: Module) -> tuple[Any, Any, Any]:
        """Controller and grid; returns the control of the first lane as a slot begins, the enabled lanes, the results."""
        design = self._design
        controller = self.hierarchy.place(m, "controller", DrainController, design)
        grid = self.hierarchy.place(m, "grid", OutputGrid, design)
        m.d.comb += [self.stream_ready.eq(controller.stream_ready), grid.adds.eq(controller.streams),
                     grid.starts.eq(self.stream_starts), grid.captures.eq(controller.captures),
                     grid.injects.eq(controller.injects),
                     grid.weights.as_value().eq(self._entering_weights(m, self.weights).as_value()),
                     grid.inputs.as_value().eq(self._entering_inputs(m, self.inputs).as_value())]
        m.d.comb += [getattr(controller, name).eq(getattr(self, name)) for name in design.mode_ports]
        self._set_mode(m, controller, grid)
        m.d.comb += [getattr(controller, name).eq(getattr(self, name))
                     for name in controller.signature.members if name.startswith("stream_") and name != "stream_ready"]
        if design.accumulators.preloads_bias:
            m.d.comb += [grid.biases[column][channel].eq(self._kept_bias(self.biases[column * design.channels + channel]))
                         for column in range(design.columns) for channel in range(design.channels)]
        control = Signal(lane_control(design), name="control")
        kept_fields = {"address": self.stream_address, "lanes": self.stream_lanes}
        if design.halves == 2:
            kept_fields["half"] = self.stream_half
        if design.channels > 1:
            kept_fields["part"] = self.stream_part
        fold = {name: Signal(value.shape(), name=f"drained_{name}", reset_less=True) for name, value in kept_fields.items()}
        with m.If(controller.streams & self.stream_last & self.stream_drains):
            m.d.sync += [fold[name].eq(value) for name, value in kept_fields.items()]
        m.d.comb += [control.valid.eq(controller.stores), control.last.eq(controller.last_slot),
                     control.address.eq(fold["address"] + controller.place)]
        m.d.comb += [getattr(control, name).eq(fold[name]) for name in ("half", "part") if name in fold]
        return control, fold["lanes"], grid.results

    def _lanes(self, m: Module, control: Any, enabled: Any, sums: Any, *, biases: Any) -> list[Any]:
        """The accumulator lanes, each a hop later than the one before; `biases` is who says when they come."""
        design = self._design
        ahead = 1 if design.reads_ahead and not design.is_output_stationary else 0
        lag = design.lag_cycles - ahead
        valid = delayed(m, control.valid, lag, name="control_valid", is_reset=True)
        arrived = Signal(control.shape(), name="control_of_lanes")
        m.d.comb += [arrived.eq(delayed(m, control, lag, name="control_passing")), arrived.valid.eq(valid)]
        enabled = skewed(m, self.hierarchy, "lanes", enabled, first=lag, step=design.lane_hop_cycles)
        lanes: list[Any] = []
        for place in range(design.lanes):
            lane = self.hierarchy.place(m, numbered("lane", place, design.lanes), AccumulatorLane, design)
            before = arrived if design.is_dot_product or not lanes else lanes[-1].control_next
            m.d.comb += [lane.control.eq(before), lane.enabled.eq(enabled[place]), lane.sums.eq(sums[place]),
                         lane.read_address.eq(self.read_address)]
            if design.halves == 2:
                m.d.comb += lane.read_half.eq(self.read_half)
            if design.channels > 1:
                m.d.comb += lane.mode.eq(self.mode)
            if design.has_bias_slots:
                self._write_bias(m, lane, place, biases)
            lanes.append(lane)
        return lanes

    def _write_bias(self, m: Module, lane: Any, place: int, controller: Any) -> None:
        channels = self._design.channels
        by_row = self._design.is_dot_product and not self._design.loads_from_banks
        first = 0 if by_row else place * channels
        m.d.comb += lane.bias_write.eq(controller.loads[place] if by_row else controller.fills)
        m.d.comb += [lane.bias[channel].eq(self._kept_bias(self.biases[first + channel])) for channel in range(channels)]
        if self._design.bias_slots > 1:
            m.d.comb += lane.bias_slot.eq(controller.load_slot)

    def _read(self, m: Module, lanes: list[Any]) -> None:
        """What a request gives."""
        design = self._design
        entry = Cat(*(lane.read.as_value() for lane in lanes))
        if design.requantizer is None:
            m.d.comb += [self.outputs_valid.eq(delayed(m, self.read_valid, design.read_latency_cycles, name="read",
                                                       is_reset=True)),
                         self.outputs.as_value().eq(entry)]
            return
        unit = self.hierarchy.place(m, "requantizer", Requantizer, design)
        m.d.comb += [unit.valid.eq(self.read_valid), unit.accumulators.as_value().eq(self._requested(m, entry)),
                     unit.zero_point.eq(self.output_zero_point), unit.clamp_min.eq(self.clamp_min),
                     unit.clamp_max.eq(self.clamp_max), self.outputs_valid.eq(unit.outputs_valid),
                     self.outputs.eq(unit.outputs)]
        m.d.comb += [getattr(unit, plural(name)).eq(getattr(self, plural(name))) for name in channel_ports(design)]

    def _requested(self, m: Module, entry: Any) -> Any:
        """The accumulators of a group, out of an entry of all lanes."""
        design = self._design
        if design.read_groups == 1:
            return entry[:requested_vector(design).size]
        group = delayed(m, self.read_group, 1 if design.reads_ahead else 0, name="group_of_read")
        requested = Signal(requested_vector(design).size, name="requested")
        with m.Switch(group):
            for place in range(design.read_groups):
                with m.Case(place):
                    m.d.comb += requested.eq(entry[place * len(requested):(place + 1) * len(requested)])
        return requested
