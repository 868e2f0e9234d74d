"""Multipliers of 2-bit operands that fuse to wider ones.

The tree of shifts and adders is that of Sharma et al., "Bit Fusion", ISCA 2018 (arXiv 1712.01507), section II: four units of
half the width make one; their products are shifted where they are partial products of wider operands, and added as they are
where they belong to several pairs of one sum.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from accelsim.hardware.precision_bit_fusion import BRICK_BITS
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.registers import vector

#: A product of two bricks' operands, each with or without a sign: -6 to 9.
BRICK_PRODUCT_BITS = 5


class Brick(Part):
    """``product = weight * factor`` of 2-bit operands, signed or not.

    Ports
    -----
    weight, factor : In, 2 bits
        Two bits of an operand each.
    weight_signed, factor_signed : In, 1 bit
        They are the highest of a signed operand.
    product : Out, signed
        In the same cycle.
    """

    module_name = "brick"
    is_clocked = False

    def __init__(self, *, hierarchy: Hierarchy | None = None) -> None:
        super().__init__({
            "weight": In(BRICK_BITS), "factor": In(BRICK_BITS), "weight_signed": In(1), "factor_signed": In(1),
            "product": Out(signed(BRICK_PRODUCT_BITS))}, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        weight, factor = (Cat(bits, bits[-1] & has_sign).as_signed() for bits, has_sign in (
            (self.weight, self.weight_signed), (self.factor, self.factor_signed)))
        m.d.comb += self.product.eq(weight * factor)
        return m


class FusedUnit(Part):
    """Four units of half the width, ``product = p00 + (p01 << i) + (p10 << w) + (p11 << (w + i))``.

    w is half the width where the unit's weights are that wide, else 0; i the same of its inputs. The first number of a unit
    inside is its half of the weights, the second its half of the inputs. Where inputs fuse, both of their halves meet the
    same weights, those of the lower one; and the other way round.

    Parameters
    ----------
    bits : the unit's width.

    Ports
    -----
    weights, factors : In, vectors over the bricks
        Two bits for each.
    weights_signed, factors_signed : In, 1 bit
        The highest bits of its operands have a sign.
    fuses_weights, fuses_inputs : In, vectors over the levels, from 4 bits on
        Whether a unit of that level fuses its halves.
    product : Out, signed
        In the same cycle.
    """

    is_clocked = False

    def __init__(self, bits: int, *, hierarchy: Hierarchy | None = None) -> None:
        self._bits, self.module_name = bits, f"fused_unit_{bits}"
        bricks, levels = brick_count(bits), level_count(bits)
        super().__init__({
            "weights": In(vector(BRICK_BITS, bricks)), "factors": In(vector(BRICK_BITS, bricks)),
            "weights_signed": In(1), "factors_signed": In(1), "fuses_weights": In(vector(1, levels)),
            "fuses_inputs": In(vector(1, levels)), "product": Out(signed(unit_product_bits(bits)))}, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, half = Module(), self._bits // 2
        fuses_weights, fuses_inputs = self.fuses_weights[-1], self.fuses_inputs[-1]
        terms = []
        for upper_weight, upper_input in product((0, 1), repeat=2):
            value = self._quarter(m, upper_weight, upper_input)
            if upper_weight:
                value = Mux(fuses_weights, value << half, value)
            if upper_input:
                value = Mux(fuses_inputs, value << half, value)
            term = Signal(value.shape(), name=f"term_{upper_weight}{upper_input}")
            m.d.comb += term.eq(value)
            terms.append(term)
        m.d.comb += self.product.eq((terms[0] + terms[1]) + (terms[2] + terms[3]))
        return m

    def _quarter(self, m: Module, upper_weight: int, upper_input: int) -> Any:
        """The product of a unit inside."""
        half, name = self._bits // 2, f"unit_{upper_weight}{upper_input}"
        fuses_weights, fuses_inputs = self.fuses_weights[-1], self.fuses_inputs[-1]
        weights = self._own(self.weights, upper_weight, upper_input)
        factors = self._own(self.factors, upper_weight, upper_input)
        if upper_input:
            weights = Mux(fuses_inputs, self._own(self.weights, upper_weight, 0), weights)
        if upper_weight:
            factors = Mux(fuses_weights, self._own(self.factors, 0, upper_input), factors)
        signs = (self.weights_signed & (Const(1) if upper_weight else ~fuses_weights),
                 self.factors_signed & (Const(1) if upper_input else ~fuses_inputs))
        if half == BRICK_BITS:
            brick = self.hierarchy.place(m, name, Brick)
            m.d.comb += [brick.weight.eq(weights), brick.factor.eq(factors), brick.weight_signed.eq(signs[0]),
                         brick.factor_signed.eq(signs[1])]
            return brick.product
        unit = self.hierarchy.place(m, name, FusedUnit, half)
        m.d.comb += [unit.weights.as_value().eq(weights), unit.factors.as_value().eq(factors),
                     unit.weights_signed.eq(signs[0]), unit.factors_signed.eq(signs[1])]
        m.d.comb += [getattr(unit, port).as_value().eq(getattr(self, port).as_value()[:-1])
                     for port in ("fuses_weights", "fuses_inputs")]
        return unit.product

    def _own(self, operand: Any, upper_weight: int, upper_input: int) -> Any:
        """A quarter of the bricks' bits."""
        bits = BRICK_BITS * brick_count(self._bits // 2)
        quarter = 2 * upper_weight + upper_input
        return operand.as_value()[quarter * bits:(quarter + 1) * bits]


def brick_count(bits: int) -> int:
    """Bricks of a unit.

    >>> brick_count(8)
    16
    """
    return (bits // BRICK_BITS) ** 2


def level_count(bits: int) -> int:
    """Levels of a unit at which halves fuse.

    >>> level_count(4), level_count(16)
    (1, 3)
    """
    return (bits // BRICK_BITS).bit_length() - 1


def unit_product_bits(bits: int) -> int:
    """Of a product of `bits` x `bits` with or without signs, or of the sums of narrower ones: none is larger.

    >>> unit_product_bits(8)
    17
    """
    return 2 * bits + 1
