"""PEs of 2-bit bricks: which bits of the operands each brick gets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from amaranth.hdl import Const, Module, signed
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from accelsim.hardware.precision_bit_fusion import BRICK_BITS, BitFusionPrecision
from accelsim.rtl.part import Hierarchy, Part
from accelsim.rtl.products.arithmetic import Arithmetic, check_bits
from accelsim.rtl.products.bricks import FusedUnit, brick_count, level_count
from accelsim.rtl.products.mode import Form, Mode
from accelsim.rtl.products.operand import Operand, packed
from accelsim.rtl.registers import shape_of, vector


class BrickProducts(Part):
    """A unit of bricks, told by the mode at which levels they fuse.

    Ports
    -----
    weight, factor : In
        Two bits of each operand for every brick.
    weight_top, input_top : In, 1 bit (where that operand is cut)
        They are the highest digits.
    mode : In
        Which mode it is.
    products : Out, vector of one
        The sum over the pairs, in the same cycle.
    """

    module_name = "brick_products"
    is_clocked = False

    def __init__(self, arithmetic: BitFusionArithmetic, *, hierarchy: Hierarchy | None = None) -> None:
        self._arithmetic = arithmetic
        ports: dict[str, Any] = {
            "weight": In(shape_of(arithmetic.weight.digits)), "factor": In(shape_of(arithmetic.factor.digits)),
            "mode": In(arithmetic.mode_ports["mode"]),
            "products": Out(vector(signed(arithmetic.pass_number.bits), 1))}
        for name, operand in (("weight_top", arithmetic.weight), ("input_top", arithmetic.factor)):
            if operand.passes > 1:
                ports[name] = In(1)
        super().__init__(ports, hierarchy=hierarchy)

    def elaborate(self, platform: object) -> Module:
        m, arithmetic = Module(), self._arithmetic
        unit = self.hierarchy.place(m, "unit", FusedUnit, arithmetic.fused_bits)
        m.d.comb += [unit.weights.as_value().eq(self.weight), unit.factors.as_value().eq(self.factor),
                     unit.weights_signed.eq(self._sign(arithmetic.weight, "weight_top")),
                     unit.factors_signed.eq(self._sign(arithmetic.factor, "input_top")),
                     self.products[0].eq(unit.product)]
        for level in range(level_count(arithmetic.fused_bits)):
            bits = 2 * BRICK_BITS << level
            for fuses, widths, field in ((unit.fuses_weights, arithmetic.widths[0], arithmetic.fields(self.mode)[0]),
                                         (unit.fuses_inputs, arithmetic.widths[1], arithmetic.fields(self.mode)[1])):
                m.d.comb += fuses[level].eq(field.matches(*(place for place, width in enumerate(widths) if width >= bits)))
        return m

    def _sign(self, operand: Operand, flag: str) -> Any:
        """Whether the highest bits of this pass have a sign."""
        if not operand.is_signed:
            return Const(0)
        return getattr(self, flag) if operand.passes > 1 else Const(1)


def brick_places(fused_bits: int, mode: Mode) -> tuple[list[list[int]], list[list[int]]]:
    """For each pair, the bricks at which the two-bit pieces of its weight stand in a word, the lowest first; of its input.

    From the outermost level inwards, two bits of a brick's number say in which half of the weights and of the inputs it
    lies. Where a level does not fuse, its bit is one of the pair's number instead. Bricks that share an operand find it at
    the lowest of them.

    >>> brick_places(4, Mode(4, 4)), brick_places(4, Mode(4, 2, pairs=2))
    (([[0, 2]], [[0, 1]]), ([[0, 2], [1, 3]], [[0], [1]]))
    """
    weights: list[list[int]] = [[0] * (mode.weight_digit // BRICK_BITS) for _ in range(mode.pairs)]
    inputs: list[list[int]] = [[0] * (mode.input_digit // BRICK_BITS) for _ in range(mode.pairs)]
    for brick in reversed(range(brick_count(fused_bits))):
        pair = weight_piece = input_piece = 0
        bits = fused_bits
        while bits > BRICK_BITS:
            upper_weight, upper_input = divmod(brick // brick_count(bits // 2) % 4, 2)
            if bits <= mode.weight_digit:
                weight_piece = 2 * weight_piece + upper_weight
            else:
                pair = 2 * pair + upper_weight
            if bits <= mode.input_digit:
                input_piece = 2 * input_piece + upper_input
            else:
                pair = 2 * pair + upper_input
            bits //= 2
        weights[pair][weight_piece] = inputs[pair][input_piece] = brick
    return weights, inputs


@dataclass(frozen=True)
class BitFusionArithmetic(Arithmetic):
    """The widths to which bricks fuse, and whole passes above."""

    @property
    def part(self) -> type[Part]:
        return BrickProducts

    @property
    def _kind(self) -> BitFusionPrecision:
        assert isinstance(self.precision, BitFusionPrecision)
        return self.precision

    @property
    def fused_bits(self) -> int:
        """Width of the whole unit."""
        return self._kind.fused_bits

    @cached_property
    def widths(self) -> tuple[list[int], list[int]]:
        """Executed widths of weights, and of inputs."""
        kind, widths = self._kind, []
        for side, widest in enumerate((kind.weight_bits, kind.input_bits)):
            pairs = [kind.executed_bits(weight_bits=min(bits, kind.weight_bits), input_bits=min(bits, kind.input_bits))
                     for bits in range(1, widest + 1)]
            widths.append(sorted({pair[side] for pair in pairs if pair is not None}))
        return widths[0], widths[1]

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        fused = self.fused_bits
        return tuple(
            Mode(weight_bits, input_bits, pairs=max(1, fused // weight_bits) * max(1, fused // input_bits),
                 weight_passes=-(-weight_bits // fused), input_passes=-(-input_bits // fused))
            for weight_bits, input_bits in product(*self.widths))

    @cached_property
    def codes(self) -> tuple[int, ...]:
        """The place of the weights' width in the low bits, that of the inputs' above."""
        low = self._code_bits[0]
        return tuple(self.widths[0].index(mode.weight_bits) | self.widths[1].index(mode.input_bits) << low
                     for mode in self.modes)

    @property
    def mode_ports(self) -> dict[str, int]:
        return {"mode": sum(self._code_bits)}

    @property
    def _code_bits(self) -> tuple[int, int]:
        weights, inputs = (max(1, (len(widths) - 1).bit_length()) for widths in self.widths)
        return weights, inputs

    def fields(self, mode: Any) -> tuple[Any, Any]:
        """What the port `mode` says of the weights, and of the inputs."""
        low = self._code_bits[0]
        return mode[:low], mode[low:]

    @cached_property
    def weight(self) -> Operand:
        forms = tuple(self._form(mode.weight_passes) for mode in self.modes)
        return packed(forms, is_signed=self.has_signed_weights)

    @cached_property
    def factor(self) -> Operand:
        forms = tuple(self._form(mode.input_passes) for mode in self.modes)
        return packed(forms, is_signed=self.has_signed_inputs)

    def _form(self, passes: int) -> Form:
        """Two bits for every brick in each pass."""
        bits = BRICK_BITS * brick_count(self.fused_bits)
        return Form(1, passes * bits, bits, passes)

    def weight_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return self._words(values, brick_places(self.fused_bits, mode)[0], mode.weight_passes)

    def input_words(self, values: NDArray[Any], used: NDArray[Any], mode: Mode) -> NDArray[Any]:
        return self._words(values, brick_places(self.fused_bits, mode)[1], mode.input_passes)

    def _words(self, values: NDArray[Any], places: list[list[int]], passes: int) -> NDArray[Any]:
        """Pieces of the operands (..., pairs) where their bricks look for them."""
        words = np.zeros(values.shape[:-1], dtype=object)
        for digit in range(passes):
            for pair, of_pair in enumerate(places):
                for piece, brick in enumerate(of_pair):
                    bits = values[..., pair].astype(object) >> digit * self.fused_bits + piece * BRICK_BITS & 3
                    words += bits << BRICK_BITS * (digit * brick_count(self.fused_bits) + brick)
        return words

    def check(self) -> None:
        check_bits("weight_bits", self._kind.weight_bits)
        check_bits("input_bits", self._kind.input_bits)

    def wording(self) -> list[str]:
        (low, high), (weights, inputs) = self._code_bits, self.widths
        fields = [", ".join(f"{place} {bits}" for place, bits in enumerate(side)) for side in (weights, inputs)]
        bricks = brick_count(self.fused_bits)
        lines = [f"a word has two bits for each of the {bricks} bricks, from the lowest bits on; of operands above "
                 f"{self.fused_bits} bits one such word for each {self.fused_bits} bits, the lowest first",
                 f"mode, bits {low - 1} to 0: width of the weights ({fields[0]} bits)",
                 f"mode, bits {low + high - 1} to {low}: width of the inputs ({fields[1]} bits)",
                 "for each mode (weight/input bits), pair by pair, the bricks whose bits in a word are the two-bit pieces "
                 "of the weight, the lowest first, and of the input:"]
        for code, mode in zip(self.codes, self.modes, strict=True):
            pairs = zip(*brick_places(self.fused_bits, mode), strict=True)
            places = ", ".join(f"{_text(weights)}x{_text(inputs)}" for weights, inputs in pairs)
            lines.append(f"mode {code} ({mode.text}): {places}")
        return lines


def _text(bricks: list[int]) -> str:
    return "-".join(str(brick) for brick in bricks)
