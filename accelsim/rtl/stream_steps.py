"""The clocks of a stream: fixed ones before a fold's first operand, then the passes of each step."""

from __future__ import annotations

import math
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal

from accelsim.rtl.design import GridDesign


class StreamSteps:
    """Counts what a fold does, in the controller of a grid.

    A source offers operands and leaves them there until they are taken. A fold starts with the first clock in which its
    first operand is offered and may be worked on; after the fixed clocks come the passes of each step, and an operand is
    taken in the last pass of its step, in which its products are added.

    Parameters
    ----------
    valid, last : operands are offered; they are their fold's last.
    controls : what has the ports of `GridDesign.mode_ports`.

    Attributes
    ----------
    is_streaming : a fold has started and is not over.
    starts : it starts in this clock.
    streams : operands are being taken.
    ready : they would be, were there any.
    weight_count, input_count : digits that a pass is behind the highest ones. cycles : of a step; both Values.
    """

    def __init__(self, m: Module, design: GridDesign, *, valid: Any, last: Any, controls: Any) -> None:
        self._m, self._design, self._controls = m, design, controls
        self._valid, self._last = valid, last
        self.is_streaming, self.starts, self.streams = (Signal(name=name) for name in (
            "is_streaming", "starts", "streams_now"))
        arithmetic = design.arithmetic
        self.weight_digits = self._digits("weight", [mode.weight_passes for mode in arithmetic.modes])
        self.input_digits = self._digits("input", [mode.input_passes for mode in arithmetic.modes])
        self.weight_count: Any = Const(0)
        self.input_count: Any = Const(0)

    @property
    def cycles(self) -> Any:
        """Of a step."""
        sides = self.weight_digits, self.input_digits
        known = [side.value for side in sides if isinstance(side, Const)]
        chosen = [side for side in sides if not isinstance(side, Const)]
        return math.prod(chosen, start=Const(math.prod(known)))

    @property
    def fixed(self) -> Any:
        """Clocks before the first operand."""
        window, depthwise = self._design.fixed_cycles
        return Const(window) if window == depthwise else Mux(self._controls.is_depthwise, depthwise, window)

    def run(self, may_start: Any) -> None:
        """Count; `may_start` says whether a fold that is offered may start."""
        m = self._m
        allowed, works = Signal(name="is_allowed"), Signal(name="works")
        m.d.comb += [allowed.eq(self.is_streaming | may_start), self.starts.eq(self._valid & allowed & ~self.is_streaming)]
        is_due = self._wait(self._valid & allowed)
        m.d.comb += works.eq(self._valid & allowed & is_due)
        is_last = self._count(works)
        self.ready = allowed & is_due & is_last
        m.d.comb += self.streams.eq(works & is_last)
        with m.If(self.streams):
            m.d.sync += self.is_streaming.eq(~self._last)
        with m.Elif(self.starts):
            m.d.sync += self.is_streaming.eq(1)

    def passes(self) -> dict[str, Any]:
        """Of this clock: which digits it takes, and what they are."""
        found: dict[str, Any] = {}
        for name, count, digits in (("weight", self.weight_count, self.weight_digits),
                                    ("factor", self.input_count, self.input_digits)):
            found[f"{name}_index"] = digits - 1 - count
        found["weight_top"], found["input_top"] = self.weight_count == 0, self.input_count == 0
        found["input_low"] = self.input_count == self.input_digits - 1
        return found

    def _digits(self, name: str, passes: list[int]) -> Any:
        """How many digits an operand has in the mode at hand."""
        if max(passes) == 1:
            return Const(1)
        if f"{name}_digits" in self._controls.signature.members:
            return getattr(self._controls, f"{name}_digits")
        if len(set(passes)) == 1:
            return Const(passes[0], max(passes).bit_length())
        m, digits = self._m, Signal(range(max(passes) + 1), init=1, name=f"{name}_digits_of_mode")
        with m.Switch(self._controls.mode):
            for count in sorted(set(passes)):
                with_codes = zip(self._design.arithmetic.codes, passes, strict=True)
                codes = [code for code, of_mode in with_codes if of_mode == count]
                with m.Case(*codes):
                    m.d.comb += digits.eq(count)
        return digits

    def _wait(self, is_offered: Any) -> Any:
        """Whether a fold's fixed clocks are over."""
        most = max(self._design.fixed_cycles)
        if not most:
            return Const(1)
        m, waited = self._m, Signal(range(most + 1), name="waited")
        is_due = waited == self.fixed
        with m.If(self.streams & self._last):
            m.d.sync += waited.eq(0)
        with m.Elif(is_offered & ~is_due):
            m.d.sync += waited.eq(waited + 1)
        return is_due

    def _count(self, works: Any) -> Any:
        """Count passes; returns whether this one is its step's last."""
        m, is_low, is_last = self._m, Const(1), Const(1)
        if not isinstance(self.input_digits, Const) or self.input_digits.value > 1:
            self.input_count = Signal(len(self.input_digits), name="input_count")
            is_low = self.input_count == self.input_digits - 1
            with m.If(works):
                m.d.sync += self.input_count.eq(Mux(is_low, 0, self.input_count + 1))
            is_last = is_low
        if not isinstance(self.weight_digits, Const) or self.weight_digits.value > 1:
            self.weight_count = Signal(len(self.weight_digits), name="weight_count")
            is_lowest = self.weight_count == self.weight_digits - 1
            with m.If(works & is_low):
                m.d.sync += self.weight_count.eq(Mux(is_lowest, 0, self.weight_count + 1))
            is_last = is_low & is_lowest
        return is_last
