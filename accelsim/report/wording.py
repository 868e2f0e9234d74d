"""How reports say names, shares and energies."""

from __future__ import annotations

from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.precision_fixed import FixedPrecision
from accelsim.hardware.precision_kind import PrecisionKind
from accelsim.results.layer_result import LayerResult
from accelsim.units import format_energy, format_scaled

_CYCLES = {
    "compute": "compute",
    "weights": "wait for weights",
    "activations": "wait for activations",
    "dram": "DRAM busy",
    "program_order": "program order",
    "buffer_port": "buffer port",
    "requantizer": "requantizer",
    "output_room": "no output room",
    "drain": "drain",
}


def cycles_label(cause: str) -> str:
    """A cause of cycles in a few words.

    >>> cycles_label("buffer_port"), cycles_label("compute")
    ('buffer port', 'compute')
    """
    return _CYCLES.get(cause, cause.replace("_", " "))


def stall_label(cause: str) -> str:
    """A cause of stalls in a word or two, for tables.

    >>> stall_label("activations"), stall_label("dram"), stall_label("output_room")
    ('activations', 'DRAM', 'output room')
    """
    return "DRAM" if cause == "dram" else cause.replace("_", " ")


def component_label(component: str) -> str:
    """A component of energy in a few words.

    >>> component_label("buffers.unified_buffer"), component_label("dram"), component_label("vector_unit")
    ('unified_buffer', 'DRAM', 'vector unit')
    """
    if component.startswith("buffers."):
        return component.removeprefix("buffers.")
    return "DRAM" if component == "dram" else component.replace("_", " ")


def energy_text(energy: float, *, unit: str) -> str:
    """An energy in the energy table's unit ("pJ", or "MAC" for relative tables).

    >>> energy_text(12_300_000_000, unit="pJ"), energy_text(12_300_000_000, unit="MAC")
    ('12.3 mJ', '12.3 G MAC energies')
    """
    if unit == "pJ":
        return format_energy(energy)
    number, _, prefix = format_scaled(energy, "").partition(" ")
    return " ".join(part for part in (number, prefix, f"{unit} energies") if part)


def power_text(energy: float, *, unit: str, time_us: float) -> str:
    """Average power, or a dash where the table's unit is not a joule's.

    >>> power_text(12_300_000_000, unit="pJ", time_us=10_000), power_text(1.0, unit="MAC", time_us=1)
    ('1.23 W', '–')
    """
    return format_scaled(energy * 1e-6 / time_us, "W") if unit == "pJ" and time_us else "–"


def share_text(part: float, whole: float) -> str:
    """A percentage without false precision.

    >>> share_text(1, 3), share_text(1, 1000), share_text(0, 0)
    ('33 %', '0.1 %', '0 %')
    """
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f} %" if 0 < share < 9.95 else f"{share:.0f} %"


def exact_share_text(part: int, whole: int) -> str:
    """A percentage that says 0 % only of nothing and 100 % only of everything.

    >>> exact_share_text(0, 9), exact_share_text(1, 100_000), exact_share_text(1, 10**9), exact_share_text(9_999, 10_000)
    ('0 %', '0.001 %', '<0.001 %', '99.9 %')
    """
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.001:
        return "<0.001 %"
    if 0 < share < 0.0995:
        return f"{share:.1g} %"
    return f"{min(share, 99.9):.1f} %" if 99.5 <= share < 100 else share_text(part, whole)


_PLACES = {"bias": "bias", "accumulator": "accumulators", "wires": "wires between PEs", "row_sum": "row sums"}


def place_label(place: str) -> str:
    """What overflowed, in a few words.

    >>> place_label("row_sum"), place_label("accumulator")
    ('row sums', 'accumulators')
    """
    return _PLACES.get(place, place.replace("_", " "))


def registers_text(accelerator: Accelerator) -> str:
    """The registers of partial sums: how wide, and what they do with a sum that does not fit."""
    bits, wires = accelerator.accumulators.bits, accelerator.partial_sum_bits
    rule = {"wrap": "wrap", "saturate": "saturate", "error": "stop the run on overflow"}[accelerator.accumulators.overflow]
    if not accelerator.pe_grid.has_column_sums:
        return f"accumulators of {bits} bits that {rule}"
    if wires == bits:
        return f"accumulators and wires of {bits} bits that {rule}"
    return f"accumulators of {bits} bits and wires of {wires} bits that {rule}"


def widths_text(layer: LayerResult) -> str:
    """Widths of a layer's weights and inputs, and those at which the PEs multiply where they are wider: "3/3 as 4/4"."""
    own = f"{layer.weight_bits}/{layer.input_bits}"
    return f"{own} as {layer.executed_weight_bits}/{layer.executed_input_bits}" if layer.runs_wider else own


def precision_text(precision: PrecisionKind) -> str:
    """What a PE multiplies, in a few words.

    >>> from accelsim.hardware.precision_bit_fusion import BitFusionPrecision
    >>> from accelsim.hardware.precision_fixed import FixedPrecision
    >>> precision_text(FixedPrecision()), precision_text(BitFusionPrecision(kind="bit_fusion"))
    ('8-bit × 8-bit', 'bit fusion 8 × 8')
    """
    weight_bits, input_bits = precision.native_bits
    if isinstance(precision, FixedPrecision):
        return f"{weight_bits}-bit × {input_bits}-bit" + (", gated" if precision.gated else "")
    return f"{precision.kind.replace('_', ' ')} {weight_bits} × {input_bits}"


def short_name(name: str, *, longest: int = 28) -> str:
    """A layer's name without its beginning where it is long: the end tells layers apart.

    >>> short_name("/layer1/layer1.0/downsample/downsample.0/Conv", longest=20)
    '…e/downsample.0/Conv'
    """
    return name if len(name) <= longest else f"…{name[1 - longest :]}"


def title_of(what: str, *, network: str, accelerator: Accelerator) -> str:
    """A figure's title: what it shows, of what."""
    return f"{what}: {short_name(network, longest=40)} on {short_name(accelerator.name, longest=40)}"
