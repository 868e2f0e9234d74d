"""How reports say names, shares and energies."""

from __future__ import annotations

from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.precision_binary import BinaryPrecision, TernaryPrecision
from accelsim.hardware.precision_bit_fusion import BRICK_BITS, BitFusionPrecision
from accelsim.hardware.precision_bit_serial import BitSerialPrecision
from accelsim.hardware.precision_codebook import CodebookPrecision
from accelsim.hardware.precision_fixed import FixedPrecision
from accelsim.hardware.precision_kind import PrecisionKind
from accelsim.hardware.precision_shift_add import ShiftAddPrecision
from accelsim.hardware.precision_subword import SubwordPrecision
from accelsim.results.layer_result import LayerResult
from accelsim.results.network_result import NetworkResult
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


def wider_operands_text(result: NetworkResult) -> str:
    """How many layers have narrower operands than the PEs multiply, in a sentence; "" if none has."""
    wider = [layer for layer in result.layers if layer.runs_wider]
    if not wider:
        return ""
    counts: dict[str, int] = {}
    for layer in wider:
        counts[widths_text(layer)] = counts.get(widths_text(layer), 0) + 1
    kinds = ", ".join(f"{text} ({count})" if len(counts) > 1 else text for text, count in counts.items())
    runs = "layer is" if len(wider) == 1 else "layers are"
    return f"{len(wider)} {runs} multiplied at wider operands, since the PEs have no narrower: weight/input bits {kinds}."


def precision_text(precision: PrecisionKind) -> str:
    """What a PE multiplies (weights x inputs), in a few words.

    >>> from accelsim.hardware.precision_bit_fusion import BitFusionPrecision
    >>> from accelsim.hardware.precision_fixed import FixedPrecision
    >>> precision_text(FixedPrecision()), precision_text(BitFusionPrecision(kind="bit_fusion"))
    ('8-bit × 8-bit', '2-bit bricks that fuse to 8 × 8 bits')
    """
    weight_bits, input_bits = precision.native_bits
    match precision:
        case FixedPrecision():
            return f"{weight_bits}-bit × {input_bits}-bit" + (", gated" if precision.gated else "")
        case SubwordPrecision():
            modes = (f"{'float ' if mode.is_float else ''}{mode.weight_bits}×{mode.input_bits}" for mode in precision.modes)
            return f"bits {', '.join(modes)}"
        case BitFusionPrecision():
            return f"{BRICK_BITS}-bit bricks that fuse to {weight_bits} × {input_bits} bits"
        case BitSerialPrecision():
            operands = {"weights": "weights", "inputs": "inputs", "both": "both operands"}[precision.serial]
            return f"{operands} bit by bit, up to {weight_bits} × {input_bits} bits"
        case BinaryPrecision():
            return "XNOR of one-bit operands" if input_bits == 1 else f"weights ±1 × {input_bits}-bit"
        case TernaryPrecision():
            return f"ternary weights × {input_bits}-bit"
        case ShiftAddPrecision():
            return f"{weight_bits}-bit powers of two × {input_bits}-bit, shifted"
        case CodebookPrecision():
            return f"{precision.index_bits}-bit indices to {precision.entry_bits}-bit × {input_bits}-bit"
    return f"{precision.kind} {weight_bits} × {input_bits} bits"


def counted(count: int, noun: str) -> str:
    """A number and what it counts.

    >>> counted(1, "column"), counted(2560, "output")
    ('1 column', '2560 outputs')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def rate_text(rate: float) -> str:
    """MACs a cycle: whole as it is, a fraction with a few digits.

    >>> rate_text(65536), rate_text(32768 / 9)
    ('65,536', '3,640.89')
    """
    return f"{rate:,}" if isinstance(rate, int) else f"{rate:,.6g}"


def short_name(name: str, *, longest: int = 28) -> str:
    """A layer's name without its beginning where it is long: the end tells layers apart.

    >>> short_name("/layer1/layer1.0/downsample/downsample.0/Conv", longest=20)
    '…e/downsample.0/Conv'
    """
    return name if len(name) <= longest else f"…{name[1 - longest :]}"


def title_of(what: str, *, network: str, accelerator: Accelerator) -> str:
    """A figure's title: what it shows, of what."""
    return f"{what}: {short_name(network, longest=40)} on {short_name(accelerator.name, longest=40)}"
