"""The few figures that say what an accelerator can do at best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.precision_kind import PrecisionKind

#: Operand widths (weight, input) that a summary shows beside those of the description, as far as the grid takes them.
_COMMON_WIDTHS = ((32, 32), (16, 16), (8, 16), (8, 8), (4, 8), (8, 4), (4, 4), (3, 3), (2, 8), (2, 2), (1, 8), (1, 1))


@dataclass(frozen=True, slots=True)
class WidthSummary:
    """What the grid does with operands of some widths.

    Parameters
    ----------
    weight_bits, input_bits : widths of the tensors.
    executed_weight_bits, executed_input_bits : widths at which the PEs really multiply.
    macs_per_cycle : of the whole grid, an int where it is whole.
    is_float : whether they are multiplied as floating point numbers.
    """

    weight_bits: int
    input_bits: int
    executed_weight_bits: int
    executed_input_bits: int
    macs_per_cycle: float
    is_float: bool = False


@dataclass(frozen=True, slots=True)
class AcceleratorSummary:
    """Peaks and sizes of an accelerator.

    Parameters
    ----------
    name : the accelerator's. native_weight_bits, native_input_bits : widths for which peaks are stated.
    macs_per_cycle : at native widths.
    peak_tops : 2 operations per MAC at native widths, in 10**12 a second.
    buffer_bytes : by buffer name. accumulator_bytes : all accumulators together.
    accumulator_bits, overflow : width of an accumulator, and what becomes of a sum that does not fit.
    partial_sum_bits : width of the wires between PEs; None where no partial sum travels between them.
    zero_points : where the zero point of the inputs is taken off.
    has_row_sum_unit : whether adders beside the grid sum the inputs.
    requantization_scheme : the rule of the requantizer.
    dram_bytes_per_cycle : peak.
    ridge_macs_per_byte : operational intensity at which the DRAM just keeps up with the grid.
    widths : the grid's speed at common operand widths and at those that the description names.
    unconfirmed : dotted paths of values whose source nobody could confirm, those of the energy table included.
    """

    name: str
    native_weight_bits: int
    native_input_bits: int
    macs_per_cycle: float
    peak_tops: float
    buffer_bytes: Mapping[str, int]
    accumulator_bytes: int
    accumulator_bits: int
    overflow: str
    partial_sum_bits: int | None
    zero_points: str
    has_row_sum_unit: bool
    requantization_scheme: str
    dram_bytes_per_cycle: float
    ridge_macs_per_byte: float
    widths: tuple[WidthSummary, ...]
    unconfirmed: tuple[str, ...]


def summarize(accelerator: Accelerator) -> AcceleratorSummary:
    """Peak figures from the description alone.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> summary = summarize(load_accelerator("tpu_v1"))
    >>> summary.macs_per_cycle, round(summary.peak_tops, 1), round(summary.ridge_macs_per_byte)
    (65536, 91.8, 1424)
    """
    macs = accelerator.peak_macs_per_cycle
    return AcceleratorSummary(
        name=accelerator.name,
        native_weight_bits=accelerator.pe_grid.precision.native_bits[0],
        native_input_bits=accelerator.pe_grid.precision.native_bits[1],
        macs_per_cycle=macs,
        peak_tops=2 * macs * accelerator.clock_hz / 1e12,
        buffer_bytes={name: buffer.capacity_bytes for name, buffer in accelerator.memory.buffers.items()},
        accumulator_bytes=accelerator.accumulator_bytes,
        accumulator_bits=accelerator.accumulators.bits,
        overflow=accelerator.accumulators.overflow,
        partial_sum_bits=accelerator.partial_sum_bits if accelerator.pe_grid.has_column_sums else None,
        zero_points=accelerator.pe_grid.zero_points,
        has_row_sum_unit=accelerator.pe_grid.row_sum_unit,
        requantization_scheme=accelerator.requantizer.scheme,
        dram_bytes_per_cycle=accelerator.dram_bytes_per_cycle,
        ridge_macs_per_byte=macs / accelerator.dram_bytes_per_cycle,
        widths=_widths(accelerator),
        unconfirmed=(*accelerator.unconfirmed, *(f"energy.{path}" for path in accelerator.energy.unconfirmed)),
    )


def _widths(accelerator: Accelerator) -> tuple[WidthSummary, ...]:
    precision = accelerator.pe_grid.precision
    summaries = []
    for weight_bits, input_bits in _shown_widths(precision):
        executed = precision.executed_bits(weight_bits=weight_bits, input_bits=input_bits)
        if executed is not None:
            rate = accelerator.peak_macs_per_cycle_at(weight_bits=weight_bits, input_bits=input_bits)
            is_float = precision.multiplies_floats(weight_bits=weight_bits, input_bits=input_bits)
            summaries.append(WidthSummary(weight_bits, input_bits, *executed, rate, is_float))
    return tuple(summaries)


def _shown_widths(precision: PrecisionKind) -> list[tuple[int, int]]:
    """The common widths, and each width of the description before the first that makes a smaller product.

    Examples
    --------
    >>> from accelsim.hardware.precision_codebook import CodebookPrecision
    >>> _shown_widths(CodebookPrecision(kind="codebook", index_bits=5, input_bits=12))[:5]
    [(32, 32), (16, 16), (8, 16), (8, 8), (5, 12)]
    """
    shown = list(_COMMON_WIDTHS)
    for weight_bits, input_bits in precision.stated_bits:
        if (weight_bits, input_bits) not in shown:
            smaller = (place for place, (weight, given) in enumerate(shown) if weight * given < weight_bits * input_bits)
            shown.insert(next(smaller, len(shown)), (weight_bits, input_bits))
    return shown
