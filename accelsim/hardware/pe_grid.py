"""The grid of processing elements: its size, its dataflow and the registers that its timing depends on."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.hardware.precision import Precision
from accelsim.hardware.precision_bit_serial import BitSerialPrecision
from accelsim.hardware.precision_fixed import FixedPrecision
from accelsim.hardware.quantity import Count, Spec

Dataflow = Literal["weight_stationary", "output_stationary", "input_stationary", "dot_product"]


class PeGrid(Spec):
    """Rows x columns of PEs and what travels between them.

    ==================  =================  =================  ===================
    dataflow            on the rows        on the columns     streamed, T steps
    ==================  =================  =================  ===================
    weight_stationary   K (reduction)      N (out channels)   M (positions)
    output_stationary   M                  N                  K
    input_stationary    K                  M                  N
    dot_product         N                  K                  M
    ==================  =================  =================  ===================

    The first three are systolic with skewed operands. ``dot_product`` is the grid of Figure 1 of Nagel et al. 2021
    (arXiv 2106.08295): inputs are broadcast, an adder tree adds the products of a row into accumulator A[n], one
    matrix-vector step a cycle.
    """

    rows: Count
    """Rows of the grid, R (at least 1)."""
    columns: Count
    """Columns of the grid, C (at least 1)."""
    dataflow: Dataflow
    """Which operand stays in the PEs, or dot_product for broadcast inputs and adder trees."""
    reduction: Literal["window_channels", "channels"] = "window_channels"
    """What is reduced on the grid in one fold: the flattened kernel window times channels, or the channels of one
    kernel position only (NVDLA, NE16), so that every kernel position is a fold of its own."""
    pixels: Count = 1
    """Output positions that the grid works on in parallel, each with a multiplier of its own in every PE (at least 1)."""
    overlap: Literal["none", "full"] = "full"
    """none: a fold loads, streams and drains before the next begins. full: the next weights preload and the next fold
    streams while the last one drains."""
    registers_per_row_hop: Annotated[int, Field(ge=0)] = 1
    """Registers between a PE and the one below it (at least 0; with 0 a wire without a register: operands are broadcast, or
    added up by a tree)."""
    registers_per_column_hop: Annotated[int, Field(ge=0)] = 1
    """Registers between a PE and the one to its right (at least 0, as above)."""
    preload_cycles: Annotated[int | None, Field(ge=0)] = None
    """Cycles that filling the stationary registers of a fold takes (at least 0); left out, one row a cycle. Not for output
    stationary, which has no such registers."""
    extra_stages: Annotated[int, Field(ge=0)] = 0
    """Pipeline registers at the edges of the grid beyond the textbook's, cycles per fold (at least 0)."""
    adder_tree_stages: Count = 1
    """Pipeline depth D of multiplier and adder tree; dot_product only (at least 1)."""
    drain: Literal["rows", "columns"] = "rows"
    """Output stationary only: results leave along the columns in as many cycles as there are rows, or along the rows in
    as many cycles as there are columns."""
    swap_spacing: Annotated[int, Field(ge=0)] = 0
    """Least number of cycles between the starts of two folds with overlap full (some grids need a pause between two
    weight swaps); 0 leaves it to the streams and preloads."""
    trims_partial_folds: bool = False
    """Whether a fold that fills the grid only partly skips the unused rows and columns; most grids cannot."""
    precision: Precision = FixedPrecision()
    """What a PE multiplies: operand widths, and how fast."""
    partial_sum_bits: Annotated[int | None, Field(ge=8, le=64)] = None
    """Weight and input stationary only: width of the wires that carry a column's sum from PE to PE (8 to 64); left out, the
    accumulators' width. Their overflow rule is the accumulators'."""
    zero_points: Literal["fold_into_bias", "subtract"] = "fold_into_bias"
    """Where the zero point z of the inputs is taken off: in the bias, which becomes b - z * sum(w) before the run (padding
    then supplies z), or from each input before it enters the grid, whose multipliers then take inputs one bit wider."""
    row_sum_unit: bool = False
    """Whether adders beside the grid sum the inputs of each position. Without them, weights with a zero point, whose
    z_w * sum(x) depends on the data, take an extra output channel of ones on the grid (white paper, section 2.4.1)."""

    @model_validator(mode="after")
    def _check_combination(self) -> PeGrid:
        if self.dataflow != "dot_product" and self.adder_tree_stages != 1:
            raise ValueError(f"adder_tree_stages: expected dataflow dot_product for an adder tree, got {self.dataflow}")
        if self.dataflow != "output_stationary" and self.drain != "rows":
            raise ValueError(f"drain: expected dataflow output_stationary for a drain direction, got {self.dataflow}")
        if self.partial_sum_bits is not None and not self.has_column_sums:
            reason = "each PE keeps its own sum" if self.dataflow == "output_stationary" else "its adder tree is exact"
            raise ValueError(f"partial_sum_bits: expected dataflow weight_stationary or input_stationary for wires that "
                             f"carry partial sums, got {self.dataflow}: {reason}")
        if self.dataflow == "output_stationary" and self.preload_cycles is not None:
            raise ValueError("preload_cycles: expected a dataflow with a preloaded operand, got output_stationary")
        if self.dataflow == "dot_product" and self.registers_per_row_hop * self.registers_per_column_hop != 1:
            raise ValueError("registers_per_row_hop: expected 1 with dataflow dot_product, whose inputs are broadcast")
        self._check_pointwise()
        if self.zero_points == "subtract" and not self.precision.takes_wider_inputs:
            raise ValueError(f"zero_points: expected fold_into_bias with precision {self.precision.kind}, whose multipliers "
                             f"take no inputs one bit wider, got subtract")
        return self

    def _check_pointwise(self) -> None:
        """A share of the reduction lanes must be at least one of them."""
        form = self.precision.pointwise if isinstance(self.precision, BitSerialPrecision) else None
        lanes = self.columns if self.dataflow == "dot_product" else self.rows
        if form is not None and self.dataflow != "output_stationary" and lanes * form.reduction < 1:
            raise ValueError(f"precision.pointwise.reduction: expected at least one of the {lanes} reduction lanes, "
                             f"1/{lanes}, got {form.reduction}")

    @property
    def has_column_sums(self) -> bool:
        """Whether partial sums travel from PE to PE."""
        return self.dataflow in ("weight_stationary", "input_stationary")

    @property
    def zero_point_bits(self) -> int:
        """Bits that the inputs gain on their way into the grid: one where the zero point is subtracted there."""
        return 1 if self.zero_points == "subtract" else 0

    @property
    def row_sum_adders(self) -> int:
        """Adders of the row-sum unit: one for every input that enters the grid in a cycle."""
        if not self.row_sum_unit:
            return 0
        return (self.rows if self.dataflow in ("weight_stationary", "output_stationary") else self.columns) * self.pixels

    @property
    def pes(self) -> int:
        return self.rows * self.columns

    @property
    def multipliers(self) -> int:
        return self.pes * self.pixels

    def peak_macs_per_cycle(self, *, weight_bits: int, input_bits: int) -> Fraction:
        """MACs a cycle at best for operands of these widths, which must fit its precision.

        Examples
        --------
        >>> from accelsim.hardware.precision_bit_fusion import BitFusionPrecision
        >>> bricks = BitFusionPrecision(kind="bit_fusion")
        >>> grid = PeGrid(rows=16, columns=32, dataflow="weight_stationary", precision=bricks)
        >>> int(grid.peak_macs_per_cycle(weight_bits=2, input_bits=4))
        4096
        """
        return self.multipliers * self.precision.macs_per_pe_cycle(weight_bits=weight_bits, input_bits=input_bits)
