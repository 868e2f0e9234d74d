"""How a tensor's integers stand for real numbers, by the names of the constants that say so."""

from __future__ import annotations

from dataclasses import dataclass

# Source: onnx.proto3, TensorProto.DataType.
_INTEGER_BITS = {2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 12: 32, 13: 64, 21: 4, 22: 4, 25: 2, 26: 2}
_SIGNED = frozenset({3, 5, 6, 7, 22, 26})

#: Of a tensor that is quantized without a zero point.
UINT8 = 2


@dataclass(frozen=True, slots=True)
class Encoding:
    """Scale and zero point that an operator states for one of its tensors.

    Parameters
    ----------
    scale, zero_point : names of tensors; no zero point is 0.
    element_type : ONNX's number of the integers' type, where the operator states one beside the zero point; else 0.
    axis : of the scales, if there are several.
    block_size : elements along `axis` that share a scale; 0 for all of them.
    """

    scale: str
    zero_point: str = ""
    element_type: int = 0
    axis: int = 1
    block_size: int = 0


def integer_bits(element_type: int) -> int | None:
    """Width of an integer element type; None for floating-point numbers and everything else.

    >>> integer_bits(22), integer_bits(3), integer_bits(1)
    (4, 8, None)
    """
    return _INTEGER_BITS.get(element_type)


def is_signed(element_type: int) -> bool:
    """Whether an integer element type has negative numbers.

    >>> is_signed(3), is_signed(2)
    (True, False)
    """
    return element_type in _SIGNED
