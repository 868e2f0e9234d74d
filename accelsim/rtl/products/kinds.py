"""The arithmetic of a described grid."""

from __future__ import annotations

from accelsim.errors import HardwareError
from accelsim.hardware.pe_grid import PeGrid
from accelsim.rtl.products.arithmetic import Arithmetic
from accelsim.rtl.products.bit_fusion import BitFusionArithmetic
from accelsim.rtl.products.bit_serial import BitSerialArithmetic
from accelsim.rtl.products.codebook import CodebookArithmetic
from accelsim.rtl.products.multiplier import FixedArithmetic
from accelsim.rtl.products.shifter import ShiftArithmetic
from accelsim.rtl.products.signs import BinaryArithmetic, CountedArithmetic, TernaryArithmetic, XnorArithmetic
from accelsim.rtl.products.subword import SubwordArithmetic

_KINDS: dict[str, type[Arithmetic]] = {
    "fixed": FixedArithmetic, "subword": SubwordArithmetic, "bit_fusion": BitFusionArithmetic,
    "bit_serial": BitSerialArithmetic, "binary": BinaryArithmetic, "ternary": TernaryArithmetic,
    "shift_add": ShiftArithmetic, "codebook": CodebookArithmetic}


def arithmetic_of(grid: PeGrid, *, has_signed_weights: bool, has_signed_inputs: bool) -> Arithmetic:
    """How the PEs of a grid multiply.

    Raises
    ------
    HardwareError : a kind without a datapath here.
    """
    kind = grid.precision.kind
    if kind not in _KINDS:
        raise HardwareError(f"expected integer PEs ({', '.join(_KINDS)}) in RTL, got {kind}", field="pe_grid.precision.kind")
    has_tree = grid.dataflow == "dot_product"
    made = _KINDS[kind]
    if kind == "binary" and grid.precision.native_bits[1] == 1:
        made = CountedArithmetic if has_tree else XnorArithmetic
    return made(grid.precision, has_signed_weights, has_signed_inputs, grid.zero_point_bits, has_tree)
