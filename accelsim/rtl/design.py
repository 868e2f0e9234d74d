"""What the RTL is generated from: the part of an accelerator's description that becomes registers and wires.

How the PEs multiply is said in `accelsim.rtl.products`; the rest of a design knows an operand as a word. Inputs enter the
grid as they are (fold_into_bias), or one bit wider as x - z, subtracted before the first register (subtract).

Pipeline, in cycles from an operand's arrival at the first PE to the addition in the first accumulator lane (`lag_cycles`);
h_r and h_c are registers per row and column hop, e extra stages, D stages of the adder tree:

=================  ====================  ================================================================
dataflow           lag                   lanes (one accumulator memory each; times the pixels)
=================  ====================  ================================================================
weight stationary  (R - 1) h_r + e       C, each h_c cycles after the one to its left
input stationary   the same              the same
output stationary  the same              C, drained along the columns (drain rows)
..                 (C - 1) h_c + e       R, each h_r cycles after the one above (drain columns)
dot_product        D + e                 R, all at once
=================  ====================  ================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from accelsim.errors import HardwareError
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.accumulators import Accumulators
from accelsim.hardware.pe_grid import PeGrid
from accelsim.hardware.requantizer import Requantizer
from accelsim.rtl.number import Number
from accelsim.rtl.products.arithmetic import Arithmetic
from accelsim.rtl.products.kinds import arithmetic_of

#: Requantization rules that a multiplier and a shifter compute; power_of_two needs the shifter alone.
DATAPATH_SCHEMES = ("tflite_double", "tflite_micro", "tflite_single", "litert_optimized", "tosa_single", "tosa_double",
                    "nvdla", "shift_floor", "dyadic", "power_of_two")

#: Biases come from models as int32; narrower accumulators keep of them what their overflow rule keeps.
LEAST_BIAS_BITS = 32


@dataclass(frozen=True)
class GridDesign:
    """A PE grid with its accumulators and, unless it is left out, its requantizer.

    Parameters
    ----------
    grid, accumulators, requantizer : of the description; requantizer is None where raw accumulators are read.
    input_numbers, weight_numbers : whether the integers on the operand ports are signed. An output is an integer of the
        same kind as an input.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> design = GridDesign.of(load_accelerator("edge_16x16"))
    >>> design.lag_cycles, design.lanes, design.tail_cycles
    (15, 16, 30)
    """

    grid: PeGrid
    accumulators: Accumulators
    requantizer: Requantizer | None
    has_signed_inputs: bool = True
    has_signed_weights: bool = True

    @classmethod
    def of(cls, accelerator: Accelerator, *, has_requantizer: bool = True, has_signed_inputs: bool = True,
           has_signed_weights: bool = True) -> GridDesign:
        """The design of a description.

        Raises
        ------
        HardwareError : a parameter that has no RTL, with its name.
        """
        design = cls(accelerator.pe_grid, accelerator.accumulators, accelerator.requantizer if has_requantizer else None,
                     has_signed_inputs, has_signed_weights)
        design._check()
        return design

    def _check(self) -> None:
        grid = self.grid
        self.arithmetic.check()
        if self.accumulators.overflow == "saturate" and self.arithmetic.pairs > 1 and not self.is_dot_product:
            raise HardwareError(f"expected wrap in RTL of {grid.precision.kind} PEs, which add the products of several "
                                "pairs at once, where the simulator saturates behind each of them, got saturate",
                                field="accumulators.overflow")
        if grid.trims_partial_folds:
            raise HardwareError("expected false in RTL, whose folds always cross the whole grid, got true",
                                field="pe_grid.trims_partial_folds")
        if grid.row_sum_unit:
            raise HardwareError("expected false in RTL, which has no adders beside the grid, got true",
                                field="pe_grid.row_sum_unit")
        self._check_requantizer()

    def _check_requantizer(self) -> None:
        if self.requantizer is None:
            return
        if self.requantizer.scheme not in DATAPATH_SCHEMES:
            raise HardwareError(f"expected a rule with a datapath ({', '.join(DATAPATH_SCHEMES)}), got "
                                f"{self.requantizer.scheme}", field="requantizer.scheme")
        if self.requantizer.lanes > self.lanes * self.sums:
            raise HardwareError(f"expected at most {self.lanes * self.sums} in RTL, one for each accumulator that can be "
                                f"read in a cycle, got {self.requantizer.lanes}", field="requantizer.lanes")

    @property
    def rows(self) -> int:
        return self.grid.rows

    @property
    def columns(self) -> int:
        return self.grid.columns

    @property
    def pixels(self) -> int:
        return self.grid.pixels

    @property
    def is_overlapped(self) -> bool:
        """Whether folds run back to back, with two banks of stationary operands (or held results)."""
        return self.grid.overlap == "full"

    @property
    def loads_from_banks(self) -> bool:
        """Whether each PE takes its stationary operand from a bank of its own, in the grid's own number of cycles; else a
        row comes in a cycle."""
        return self.grid.preload_cycles is not None

    @property
    def preload_cycles(self) -> int:
        """Cycles in which a fold's stationary operands are loaded."""
        return self.rows if self.grid.preload_cycles is None else self.grid.preload_cycles

    @property
    def has_two_registers(self) -> bool:
        """Whether a PE has a register of stationary operands to fill while the other multiplies. Where loading takes no
        time, a single one is filled as a fold starts."""
        return self.is_overlapped and self.preload_cycles > 0

    @property
    def is_output_stationary(self) -> bool:
        return self.grid.dataflow == "output_stationary"

    @property
    def is_dot_product(self) -> bool:
        return self.grid.dataflow == "dot_product"

    @property
    def keeps_inputs(self) -> bool:
        """Whether the inputs are the stationary operand."""
        return self.grid.dataflow == "input_stationary"

    @cached_property
    def arithmetic(self) -> Arithmetic:
        """How the PEs multiply."""
        return arithmetic_of(self.grid, has_signed_weights=self.has_signed_weights, has_signed_inputs=self.has_signed_inputs)

    @property
    def output_number(self) -> Number:
        """An output: as wide as the widest input, two bits at least (a sign is an output of one bit)."""
        widest = max(mode.input_bits for mode in self.arithmetic.modes)
        return Number(max(2, widest), self.has_signed_inputs)

    @property
    def channels(self) -> int:
        """Output channels of a PE at most, each with a sum of its own."""
        return self.arithmetic.channels

    @property
    def sums(self) -> int:
        """Sums of a PE, and of an entry of an accumulator lane: of its pixels, each with its channels."""
        return self.pixels * self.channels

    @property
    def fixed_cycles(self) -> tuple[int, int]:
        """In front of a fold's first operand: of any layer, and of a depthwise one."""
        weight_bits, input_bits = self.grid.precision.native_bits
        cost = self.grid.precision.step_cost
        return (cost(weight_bits=weight_bits, input_bits=input_bits, form="window").fixed_cycles,
                cost(weight_bits=weight_bits, input_bits=input_bits, form="depthwise").fixed_cycles)

    @property
    def mode_ports(self) -> dict[str, int]:
        """What chooses how a layer is computed: name -> bits."""
        window, depthwise = self.fixed_cycles
        return self.arithmetic.mode_ports | ({"is_depthwise": 1} if window != depthwise else {})

    @property
    def sum_bits(self) -> int:
        """Wires between PEs."""
        return self.grid.partial_sum_bits or self.accumulators.bits

    @property
    def bias_bits(self) -> int:
        """A bias on its port."""
        return max(LEAST_BIAS_BITS, self.accumulators.bits)

    @property
    def drains_sideways(self) -> bool:
        """Whether results leave along the rows of an output-stationary grid."""
        return self.grid.drain == "columns"

    @property
    def lanes(self) -> int:
        """Edges at which sums leave the grid."""
        return self.rows if self.is_dot_product or self.drains_sideways else self.columns

    @property
    def lane_hop_cycles(self) -> int:
        """By which a lane is later than the one before it."""
        if self.is_dot_product:
            return 0
        return self.grid.registers_per_row_hop if self.drains_sideways else self.grid.registers_per_column_hop

    @property
    def lag_cycles(self) -> int:
        """From an operand's arrival at the first PE to the addition (output stationary: the writing) in the first lane."""
        grid = self.grid
        if self.is_dot_product:
            return grid.adder_tree_stages + grid.extra_stages
        if self.drains_sideways:
            return (self.columns - 1) * grid.registers_per_column_hop + grid.extra_stages
        return (self.rows - 1) * grid.registers_per_row_hop + grid.extra_stages

    @property
    def drain_slots(self) -> int:
        """Cycles in which an output-stationary grid hands over its results, one a PE of a column (or row)."""
        if not self.is_output_stationary:
            return 0
        return self.columns if self.drains_sideways else self.rows

    @property
    def tail_cycles(self) -> int:
        """From the last operand's entry until the last lane has written."""
        return self.lag_cycles + (self.lanes - 1) * self.lane_hop_cycles + self.drain_slots

    @property
    def reads_ahead(self) -> bool:
        """Whether an accumulator is read in the cycle before its value is used, as an SRAM is; otherwise in the same one."""
        has_time_to_add = self.is_output_stationary or self.lag_cycles > 0
        return has_time_to_add and (self.requantizer is None or self.requantizer.latency_cycles > 0)

    @property
    def halves(self) -> int:
        """Memories of an accumulator lane: one accumulates while the other is requantized."""
        return 2 if self.accumulators.double_buffered else 1

    @property
    def depth(self) -> int:
        """Entries of each of them, of all the sums of a PE. Lanes along the rows share what the description gives the
        columns, and the channels of a PE what it gives one."""
        entries = self.accumulators.block_entries
        return -(-(-(-entries * self.columns // self.rows) if self.drains_sideways else entries) // self.channels)

    @property
    def address_bits(self) -> int:
        return max(1, (self.depth - 1).bit_length())

    @property
    def bias_slots(self) -> int:
        """Biases that a lane keeps: of the folds that are on their way.

        A slot is written in the last cycle of its fold's preload (dot_product without banks: with the lane's own row, maybe
        the first) and read until that fold's last sum arrives, ``lag`` after the fold's last operand, plus the hops to the
        last lane. Folds start at least ``d = max(1, preload, spacing)`` cycles apart, and a preload of p cycles begins no
        earlier than the fold before it: with S slots the writing is late enough if ``(S - 2) d + p >= lag + hops`` (with the
        lane's own row ``(S - 2) d + 1 >= lag``; without a preload, written as the fold starts, ``(S - 1) d + 1 >= lag +
        hops``).
        """
        if not self.is_overlapped:
            return 1
        reach = self.lag_cycles + (self.lanes - 1) * self.lane_hop_cycles
        apart, preload = max(1, self.preload_cycles, self.grid.swap_spacing), self.preload_cycles
        if not preload:
            return max(2, 1 + -(-(reach - 1) // apart))
        behind = 1 if self.is_dot_product and not self.loads_from_banks else preload
        return max(2, 2 + -(-(reach - behind) // apart))

    @property
    def has_bias_slots(self) -> bool:
        """Whether biases come with the stationary operand: where output channels are on the lanes."""
        return self.accumulators.preloads_bias and self.grid.dataflow in ("weight_stationary", "dot_product")

    @property
    def has_streamed_bias(self) -> bool:
        """Whether a bias comes with each streamed operand: where output channels follow one another."""
        return self.accumulators.preloads_bias and self.keeps_inputs

    @property
    def outputs_per_read(self) -> int:
        """Accumulators that one read request names."""
        return self.requantizer.lanes if self.requantizer is not None else self.lanes * self.sums

    @property
    def read_groups(self) -> int:
        """Read requests that an entry of all lanes needs."""
        return -(-self.lanes * self.sums // self.outputs_per_read)

    @property
    def read_latency_cycles(self) -> int:
        """From a read request to its outputs."""
        if self.requantizer is None:
            return 1 if self.reads_ahead else 0
        return self.requantizer.latency_cycles
