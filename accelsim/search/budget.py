"""What may be spent, as people write it: ``0.7x``, ``5ms``, ``1.2Mcycles``, ``3mJ``, ``200KiB``, ``12GBOPs``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from accelsim.errors import SearchError
from accelsim.problem import quoted
from accelsim.units import format_energy, format_scaled, format_size

_SCALES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SECONDS = {"s": Fraction(1), "ms": Fraction(1, 10**3), "us": Fraction(1, 10**6), "ns": Fraction(1, 10**9)}
_JOULES = {"J": Fraction(1), "mJ": Fraction(1, 10**3), "uJ": Fraction(1, 10**6), "nJ": Fraction(1, 10**9),
           "pJ": Fraction(1, 10**12)}
_BYTES = {"B": 1, "KB": 10**3, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

_NUMBER = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([A-Za-z]*)\s*")

_EXAMPLES = {"latency": "0.7x, 5ms or 1.2Mcycles", "energy": "0.7x or 3mJ", "size": "0.7x or 200KiB",
             "bops": "0.7x or 12GBOPs"}


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit of one cost.

    Parameters
    ----------
    cost : its name.
    limit : in the cost's unit: cycles, pJ, bytes, bit operations.
    text : as it was written.
    """

    cost: str
    limit: float
    text: str

    @classmethod
    def parse(cls, cost: str, text: str, *, uniform: Mapping[str, float], clock_hz: int, energy_unit: str = "pJ") -> Budget:
        """A budget as people write it.

        Parameters
        ----------
        uniform : what each cost is with 8 bits everywhere, for ``0.7x``.
        clock_hz : of the accelerator, for times.
        energy_unit : of its energy table; one without joules takes ``x`` alone.

        Examples
        --------
        >>> at = dict(uniform={"latency": 1000.0, "size": 4096.0}, clock_hz=500_000_000)
        >>> Budget.parse("latency", "0.7x", **at).limit, Budget.parse("latency", "1.5us", **at).limit
        (700.0, 750.0)
        >>> Budget.parse("size", "2KiB", **at).limit
        2048.0

        Raises
        ------
        SearchError : not such a text.
        """
        match = _NUMBER.fullmatch(text)
        units = _units(cost, clock_hz, energy_unit)
        if match is None or match[2] not in {"x", *units}:
            raise SearchError(f"expected a budget such as {_EXAMPLES.get(cost, '0.7x')}, got {quoted(text)}", field=cost)
        if match[2] == "x":
            return cls(cost, float(Fraction(match[1]) * Fraction(uniform[cost])), text.strip())
        return cls(cost, float(Fraction(match[1]) * units[match[2]]), text.strip())


def _units(cost: str, clock_hz: int, energy_unit: str) -> dict[str, Fraction]:
    """Units of a cost, in its own."""
    if cost == "latency":
        cycles = {f"{scale}{word}": Fraction(factor) for scale, factor in _SCALES.items() for word in ("cycles", "cycle")}
        return cycles | {unit: seconds * clock_hz for unit, seconds in _SECONDS.items()}
    if cost == "energy":
        return {unit: joules * 10**12 for unit, joules in _JOULES.items()} if energy_unit == "pJ" else {}
    if cost in ("size", "traffic"):
        return {unit: Fraction(factor) for unit, factor in _BYTES.items()}
    return {f"{scale}BOPs": Fraction(factor) for scale, factor in _SCALES.items()} if cost == "bops" else {}


def cost_text(cost: str, value: float, *, energy_unit: str = "pJ") -> str:
    """A cost for people, with its unit.

    >>> cost_text("latency", 7207), cost_text("size", 2048), cost_text("bops", 3e9), cost_text("sensitivity", 0.0123)
    ('7,207 cycles', '2 KiB', '3 GBOPs', '0.0123')
    """
    if cost == "latency":
        return f"{value:,.0f} cycles"
    if cost == "energy":
        return format_energy(value) if energy_unit == "pJ" else f"{value:.4g} {energy_unit}"
    if cost in ("size", "traffic"):
        return format_size(int(value))
    return format_scaled(value, "BOPs") if cost == "bops" else f"{value:.3g}"
