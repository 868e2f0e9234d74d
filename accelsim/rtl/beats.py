"""Beats as the bits of ports, and the bits of results as integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data

from accelsim.rtl.block_streams import Beat
from accelsim.rtl.design import GridDesign
from accelsim.rtl.top_ports import result_shape


def element_shape(shape: Any) -> Shape:
    """The integer of which a port is made: its own shape, or its innermost elements'."""
    while isinstance(shape, data.ArrayLayout):
        shape = shape.elem_shape
    return Shape.cast(shape)


def port_bits(shape: Any) -> int:
    """Width of a port."""
    return int(Shape.cast(shape).width)


def packed(values: Sequence[int], bits: int) -> int:
    """Integers side by side in two's complement, the first in the lowest bits.

    >>> hex(packed((1, -1, 2), 8))
    '0x2ff01'
    """
    mask, word = (1 << bits) - 1, 0
    for place, value in enumerate(values):
        word |= (value & mask) << (place * bits)
    return word


def packed_beat(ports: Mapping[str, Any], beat: Beat) -> dict[str, int]:
    """Each port's bits; every port of the channel must be there."""
    assert beat.keys() == ports.keys(), f"a beat of {sorted(beat)} for the ports {sorted(ports)}"
    return {name: packed(beat[name], element_shape(shape).width) for name, shape in ports.items()}


def packed_channel(ports: Mapping[str, Any], beat: Beat) -> int:
    """All ports of a channel side by side, the first in the lowest bits."""
    word = shift = 0
    for name, bits in packed_beat(ports, beat).items():
        word |= bits << shift
        shift += port_bits(ports[name])
    return word


def unpacked_results(design: GridDesign, word: int) -> tuple[int, ...]:
    """The integers of the output port."""
    shape = result_shape(design)
    element = element_shape(shape)
    mask, values = (1 << element.width) - 1, []
    for first in range(0, port_bits(shape), element.width):
        value = (word >> first) & mask
        values.append(value - (1 << element.width) if element.signed and value >> (element.width - 1) else value)
    return tuple(values)
