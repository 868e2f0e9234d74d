"""The whole design: controller, grid, accumulator lanes and requantizer."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data

from accelsim.rtl.accumulator_lane import AccumulatorLane
from accelsim.rtl.design import GridDesign
from accelsim.rtl.dot_grid import DotGrid
from accelsim.rtl.drain_controller import DrainController
from accelsim.rtl.fold_controller import FoldController
from accelsim.rtl.lane_control import lane_control
from accelsim.rtl.output_grid import OutputGrid
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import delayed, kept, numbered, shape_of
from accelsim.rtl.requantizer import Requantizer, plural
from accelsim.rtl.requantizer_lane import channel_ports
from accelsim.rtl.skew import skewed
from accelsim.rtl.systolic_grid import SystolicGrid
from accelsim.rtl.top_ports import top_ports


class Top(Part):
    """A PE grid with accumulators and requantizer. Operands, biases and multipliers come from buffers outside.

    A row of the stationary operand is taken in a cycle with `load_valid` and `load_ready`, a streamed operand in one with
    `stream_valid` and `stream_ready`. From the first of them to the last `fold_done`, both inclusive, the folds take the
    cycles of `accelsim.mapping.fold`, as long as both channels always have something to offer.

    Ports
    -----
    load_valid, load_ready : In, Out; not of an output-stationary grid
        Handshake of a row of the stationary operand; the first of a fold's R rows belongs to the grid's first row.
    weights, inputs : In, vectors over the columns (stationary: one row of the grid) or the rows (streamed; output-stationary
        weights: the columns; dot_product inputs: the columns)
        Operands. Several pixels: an input each.
    biases : In, vector
        Weight stationary: of the columns' channels, with the fold's last row. dot_product: of the row's channel, with each
        row. Input stationary: of the streamed channel. Output stationary: of the columns' channels, with a block's first
        step. They are kept as the accumulators keep a sum.
    stream_valid, stream_ready : In, Out
        Handshake of a streamed operand.
    stream_last : In
        It is its fold's last.
    stream_starts : In
        Its sums are the first of their block: they start from the bias.
    stream_address, stream_half : In
        Entry of its sums. Output stationary: with the last, of the grid's first row (column); the others' follow.
    stream_lanes : In, vector over the lanes
        Whether they have sums.
    stream_drains, stream_count : In; output stationary only
        With the last: the sums are complete, and of how many rows (columns).
    fold_done : Out
        A fold's last sum is being stored.
    read_valid, read_address, read_half, read_group : In
        A request for outputs: an entry, of these lanes.
    multipliers, shifts, addends, biases of outputs : In, vectors
        Of the request's channels (`requantizer_lane.channel_ports`).
    input_zero_point, output_zero_point, clamp_min, clamp_max : In
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

    def _entering(self, m: Module, inputs: Any) -> Any:
        """Inputs as they enter the grid: with `subtract` less their zero point."""
        design = self._design
        if design.grid.zero_points != "subtract":
            return inputs
        lanes, pixels = inputs.shape().length, design.pixels
        layout = data.ArrayLayout(data.ArrayLayout(shape_of(design.factor_number), pixels), lanes)
        less = Signal(layout, name="inputs_less_zero_point")
        m.d.comb += [less[lane][pixel].eq(inputs[lane][pixel] - self.input_zero_point)
                     for lane in range(lanes) for pixel in range(pixels)]
        return less

    def _kept_bias(self, bias: Any) -> Any:
        design = self._design
        return kept(bias, design.accumulators.bits, design.accumulators.overflow)

    def _stationary(self, m: Module) -> tuple[Any, Any]:
        """Controller and grid of weights or inputs that stay; returns the controller and the grid's sums."""
        design = self._design
        controller = self.hierarchy.place(m, "controller", FoldController, design)
        kind = DotGrid if design.is_dot_product else SystolicGrid
        grid = self.hierarchy.place(m, "grid", kind, design)
        inputs = self._entering(m, self.inputs)
        stationary, streamed = (inputs, self.weights) if design.keeps_inputs else (self.weights, inputs)
        m.d.comb += [controller.load_valid.eq(self.load_valid), self.load_ready.eq(controller.load_ready),
                     controller.stream_valid.eq(self.stream_valid), self.stream_ready.eq(controller.stream_ready),
                     controller.stream_last.eq(self.stream_last), grid.loads.eq(controller.loads),
                     grid.stationary.as_value().eq(stationary.as_value()), grid.streamed.as_value().eq(streamed.as_value())]
        if design.is_overlapped:
            m.d.comb += [grid.load_bank.eq(controller.load_bank), grid.bank.eq(controller.bank)]
        return controller, grid.sums

    def _control_of_stream(self, m: Module, controller: Any) -> Any:
        """The control of the first lane, as the operands enter."""
        design = self._design
        control = Signal(lane_control(design), name="control")
        m.d.comb += [control.valid.eq(controller.streams), control.last.eq(self.stream_last),
                     control.starts.eq(self.stream_starts), control.address.eq(self.stream_address)]
        if design.halves == 2:
            m.d.comb += control.half.eq(self.stream_half)
        if design.has_bias_slots and design.bias_slots > 1:
            m.d.comb += control.slot.eq(controller.slot)
        if design.has_streamed_bias:
            m.d.comb += control.bias.eq(self._kept_bias(self.biases[0]))
        return control

    def _output_stationary(self, m: Module) -> tuple[Any, Any, Any]:
        """Controller and grid; returns the control of the first lane as a slot begins, the enabled lanes, the results."""
        design = self._design
        controller = self.hierarchy.place(m, "controller", DrainController, design)
        grid = self.hierarchy.place(m, "grid", OutputGrid, design)
        m.d.comb += [self.stream_ready.eq(controller.stream_ready), grid.adds.eq(controller.streams),
                     grid.starts.eq(self.stream_starts), grid.captures.eq(controller.captures),
                     grid.injects.eq(controller.injects), grid.weights.eq(self.weights),
                     grid.inputs.as_value().eq(self._entering(m, self.inputs).as_value())]
        m.d.comb += [getattr(controller, name).eq(getattr(self, name))
                     for name in ("stream_valid", "stream_last", "stream_drains", "stream_count")]
        if design.accumulators.preloads_bias:
            m.d.comb += [grid.biases[column].eq(self._kept_bias(self.biases[column])) for column in range(design.columns)]
        control = Signal(lane_control(design), name="control")
        kept_fields = {"address": self.stream_address, "lanes": self.stream_lanes}
        if design.halves == 2:
            kept_fields["half"] = self.stream_half
        fold = {name: Signal(value.shape(), name=f"drained_{name}", reset_less=True) for name, value in kept_fields.items()}
        with m.If(controller.streams & self.stream_last & self.stream_drains):
            m.d.sync += [fold[name].eq(value) for name, value in kept_fields.items()]
        m.d.comb += [control.valid.eq(controller.stores), control.last.eq(controller.last_slot),
                     control.address.eq(fold["address"] + controller.place)]
        if design.halves == 2:
            m.d.comb += control.half.eq(fold["half"])
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
            if design.has_bias_slots:
                self._write_bias(m, lane, place, biases)
            lanes.append(lane)
        return lanes

    def _write_bias(self, m: Module, lane: Any, place: int, controller: Any) -> None:
        by_row = self._design.is_dot_product
        m.d.comb += [lane.bias_write.eq(controller.loads[place] if by_row else controller.fills),
                     lane.bias.eq(self._kept_bias(self.biases[0 if by_row else place]))]
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
        m.d.comb += [unit.valid.eq(self.read_valid), unit.read.as_value().eq(entry),
                     unit.zero_point.eq(self.output_zero_point), unit.clamp_min.eq(self.clamp_min),
                     unit.clamp_max.eq(self.clamp_max), self.outputs_valid.eq(unit.outputs_valid),
                     self.outputs.eq(unit.outputs)]
        m.d.comb += [getattr(unit, plural(name)).eq(getattr(self, plural(name))) for name in channel_ports(design)]
        if design.read_groups > 1:
            m.d.comb += unit.group.eq(self.read_group)
