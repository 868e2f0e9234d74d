"""Which integers the PEs of a precision kind really multiply.

A width is not enough: a shifter multiplies by powers of two alone, and one bit of a binary network stands for -1 or +1. A
run that carries integers refuses a layer whose integers its PEs cannot hold; the products of all others are exact.

============================================  =============================  ===========================================
kind                                          weights                        inputs
============================================  =============================  ===========================================
fixed, bit_fusion, bit_serial, subword        any that the layer's width     any of their width
                                              in memory holds
binary                                        -1 and +1                      of one bit -1 and +1, of more any
ternary                                       -1, 0 and +1                   any of their width
shift_add                                     +-2^e with e below `shifts`;   any of their width
                                              0 takes the code of one e
codebook                                      any that entries hold, as      any of their width
                                              many as there are entries
float, floating point modes of subword        none                           none
============================================  =============================  ===========================================

Where the layer's second operand is an activation, all values of its type less its zero point count. A type of one bit holds
0 (`accelsim.numerics.qtype`), so that no layer with integers runs on XNOR and popcount: the bipolar bit of binary networks
has no type here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.hardware.precision_binary import BinaryPrecision, TernaryPrecision
from accelsim.hardware.precision_codebook import CodebookPrecision
from accelsim.hardware.precision_kind import PrecisionKind
from accelsim.hardware.precision_shift_add import ShiftAddPrecision
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.kernel import Kernel
from accelsim.numerics.qtype import QType

#: Wider than the weights of any kind with a rule of its own.
_SMALL = 1 << 16

Integers = NDArray[np.int64]


def check_integers(precision: PrecisionKind, layers: Mapping[str, tuple[GridKernel | Kernel, int]]) -> None:
    """Refuse integers that the PEs do not multiply.

    Parameters
    ----------
    layers : by name, what a layer computes and the width of its weights in memory; only those of the PE grid matter.

    Raises
    ------
    NumericsError : names the layer, what the PEs take, and the first integer that they do not.
    """
    for name, (kernel, weight_bits) in layers.items():
        if isinstance(kernel, GridKernel) and (mistake := integers_mistake(precision, kernel, weight_bits=weight_bits)):
            raise NumericsError(mistake, field=name)


def integers_mistake(precision: PrecisionKind, kernel: GridKernel, *, weight_bits: int) -> str:
    """What is wrong with a layer's integers on such PEs; "" if they multiply all of them.

    Parameters
    ----------
    weight_bits : width of a weight in memory: of its integer, or of the code that stands for it.

    Examples
    --------
    >>> from accelsim.numerics.qparams import QParams
    >>> from accelsim.numerics.qtype import QType
    >>> byte, nibble = (QParams(scale=1.0, zero_point=0, qtype=QType(bits, True)) for bits in (8, 4))
    >>> kernel = GridKernel(weights=np.array([[[4, -2, 3]]]), bias=None, input=byte, weight=nibble, output=byte,
    ...                     clamp_min=-128, clamp_max=127)
    >>> integers_mistake(ShiftAddPrecision(kind="shift_add"), kernel, weight_bits=4)
    'expected weights 0 or +-2^0 to +-2^7 on PEs of precision shift_add, got 3'
    """
    weight_type, input_type = kernel.weight.qtype, kernel.input.qtype
    if precision.multiplies_floats(weight_bits=weight_bits, input_bits=input_type.bits):
        return (f"expected PEs that multiply integers of {weight_bits} and {input_type.bits} bits, got floating point "
                f"({precision.kind})")
    if isinstance(precision, BinaryPrecision) and precision.input_bits == 1:
        return f"expected inputs -1 and +1 on PEs of precision binary, got {input_type.name} ({input_type.range_text})"
    is_coded = isinstance(precision, BinaryPrecision | TernaryPrecision | ShiftAddPrecision | CodebookPrecision)
    if not is_coded and weight_type.bits <= weight_bits:
        return ""
    values = _weights(kernel)
    words, taken = _taken(precision, values, memory=QType(weight_bits, weight_type.is_signed))
    if not taken.all():
        return f"expected weights {words} on PEs of precision {precision.kind}, got {values[~taken][0]}"
    return _crowd(precision, kernel, values)


def _taken(precision: PrecisionKind, values: Integers, *, memory: QType) -> tuple[str, NDArray[np.bool_]]:
    """(in words what a kind multiplies by, which of the values are that); `memory` is what a weight's bits there can say."""
    sizes = np.abs(values)
    if isinstance(precision, BinaryPrecision):
        return "-1 and +1", sizes == 1
    if isinstance(precision, TernaryPrecision):
        return "-1, 0 and +1", sizes <= 1
    if isinstance(precision, ShiftAddPrecision):
        powers = [0, *(1 << exponent for exponent in range(precision.shifts))]
        return f"0 or +-2^0 to +-2^{precision.shifts - 1}", np.isin(sizes, powers)
    if isinstance(precision, CodebookPrecision):
        entry = QType(precision.entry_bits, memory.is_signed)
        words = f"{entry.range_text}, which an entry of {entry.bits} bits holds,"
        return words, (entry.min <= values) & (values <= entry.max)
    words = f"{memory.range_text}, which a width of {memory.bits} bits holds,"
    return words, (memory.min <= values) & (values <= memory.max)


def _crowd(precision: PrecisionKind, kernel: GridKernel, values: Integers) -> str:
    """What is wrong with the number of different weights: they have more than there are codes."""
    if isinstance(precision, ShiftAddPrecision):
        sizes = np.unique(np.abs(values)).size
        if sizes > precision.shifts:
            return (f"expected weights of at most {precision.shifts} sizes, 0 among them, for codes of "
                    f"{precision.weight_bits} bits on PEs of precision shift_add, got {sizes}")
    if isinstance(precision, CodebookPrecision) and kernel.weights is not None:
        length, room = precision.vector_length, 1 << precision.index_bits
        entries = _entries(kernel.weights, length)
        if entries > room:
            what = "weights" if length == 1 else f"vectors of {length} weights"
            return f"expected at most {room} different {what} on PEs of precision codebook, got {entries}"
    return ""


def _entries(weights: Integers, length: int) -> int:
    """Entries of a table for (groups, N, K) weights, `length` of which along K are one entry; a shorter rest at the end of K
    is the beginning of any.

    Examples
    --------
    >>> _entries(np.array([[[1, 2, 3, 4, 1], [1, 2, 1, 2, 5]]]), 2)  # (1, 2), (3, 4), (5, anything)
    3
    """
    whole = weights.shape[2] // length * length
    entries = np.unique(weights[..., :whole].reshape(-1, length), axis=0)
    rest = weights.shape[2] - whole
    begun = {tuple(entry[:rest]) for entry in entries.tolist()}
    rests = {tuple(row) for row in weights[..., whole:].reshape(-1, rest).tolist()} if rest else set()
    return len(entries) + len(rests - begun)


def _weights(kernel: GridKernel) -> Integers:
    """The weights that reach the PEs, each once; of an activation all that its type can hold."""
    if kernel.weights is not None:
        weights: Integers = np.unique(kernel.weights).astype(np.int64)
        return weights
    qtype, zero_point = kernel.weight.qtype, int(kernel.weight.zero_point)
    # Small values and the ends tell of a wide type as much as all of its values do.
    low, high = max(qtype.min, -_SMALL), min(qtype.max, _SMALL)
    return np.unique([qtype.min, *range(low, high + 1), qtype.max]) - zero_point
