"""The only place that parses and prints units.

Sizes are whole bytes, frequencies whole hertz, bandwidths whole bytes a second, times whole picoseconds or whole cycles.
A quantity that is not a whole number of these is refused, never rounded. `KiB` is 1024 bytes, `KB` is 1000.

Examples
--------
>>> parse_size("512 KiB"), parse_bandwidth("25.6 GB/s"), parse_frequency("800 MHz")
(524288, 25600000000, 800000000)
>>> parse_energy("0.2 pJ"), parse_energy_per_bit("20 pJ/bit")
(0.2, 20.0)
>>> parse_duration("60 ns"), parse_duration("100 cycles")
(Duration(picoseconds=60000, cycles=None), Duration(picoseconds=None, cycles=100))
>>> parse_bandwidth("25.6 GB")
Traceback (most recent call last):
accelsim.errors.UnitError: expected a bandwidth such as "25.6 GB/s", got "25.6 GB"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from accelsim.errors import UnitError

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_DECIMAL = {"": 1, "K": 10**3, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}

SIZE_UNITS = {f"{prefix}B": factor for prefix, factor in {**_DECIMAL, **_BINARY}.items() if prefix != "k"}
BANDWIDTH_UNITS = {f"{unit}/s": factor for unit, factor in SIZE_UNITS.items()}
FREQUENCY_UNITS = {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9}
TIME_UNITS = {"ps": 1, "ns": 10**3, "us": 10**6, "ms": 10**9, "s": 10**12}
ENERGY_UNITS = {"fJ": Fraction(1, 1000), "pJ": Fraction(1), "nJ": Fraction(1000), "uJ": Fraction(10**6)}
ENERGY_PER_BIT_UNITS = {f"{unit}/bit": factor for unit, factor in ENERGY_UNITS.items()}
POWER_UNITS = {"uW": Fraction(1, 1000), "mW": Fraction(1), "W": Fraction(1000)}
AREA_UNITS = {"um2": Fraction(1), "mm2": Fraction(10**6)}

PICOSECONDS_PER_SECOND = 10**12

# A plain decimal number, then the unit; no exponents beyond what a person writes.
_QUANTITY = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][-+]?[0-9]{1,2})?)\s*([A-Za-z][A-Za-z0-9/]*)\s*")


@dataclass(frozen=True, slots=True)
class Duration:
    """A time on the wall (picoseconds) or on the accelerator's clock (cycles); exactly one of them is set.

    Examples
    --------
    >>> Duration(picoseconds=60_000).to_cycles(clock_hz=800_000_000)
    48
    >>> Duration(picoseconds=1).to_cycles(clock_hz=800_000_000)  # whoever waits sees the next clock edge
    1
    """

    picoseconds: int | None = None
    cycles: int | None = None

    def to_cycles(self, *, clock_hz: int) -> int:
        """Cycles until the first clock edge at or after this time has passed."""
        if self.cycles is not None:
            return self.cycles
        assert self.picoseconds is not None
        return -(-self.picoseconds * clock_hz // PICOSECONDS_PER_SECOND)

    def __str__(self) -> str:
        return f"{self.cycles} cycles" if self.cycles is not None else f"{self.picoseconds} ps"


def _parse(text: object, units: dict[str, int] | dict[str, Fraction], noun: str, example: str) -> Fraction:
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in units:
        raise UnitError(f'expected {noun} such as "{example}", got {_quoted(text)}')
    return Fraction(match[1]) * units[match[2]]


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _whole(value: Fraction, text: object, smallest: str) -> int:
    if value.denominator != 1:
        raise UnitError(f"expected a whole number of {smallest}, got {_quoted(text)}")
    return int(value)


def parse_size(text: object) -> int:
    """Bytes. Raises `UnitError` for a missing or wrong unit and for a fraction of a byte."""
    return _whole(_parse(text, SIZE_UNITS, "a size", "512 KiB"), text, "bytes")


def parse_bandwidth(text: object) -> int:
    """Bytes a second."""
    return _whole(_parse(text, BANDWIDTH_UNITS, "a bandwidth", "25.6 GB/s"), text, "bytes a second")


def parse_frequency(text: object) -> int:
    """Hertz."""
    return _whole(_parse(text, FREQUENCY_UNITS, "a frequency", "800 MHz"), text, "hertz")


def parse_duration(text: object) -> Duration:
    """A time in seconds' units, or a number of cycles ("1 cycle", "100 cycles")."""
    units = {**TIME_UNITS, "cycle": 1, "cycles": 1}
    value = _parse(text, units, "a time", "60 ns\" or \"100 cycles")
    assert isinstance(text, str)
    if text.strip().endswith(("cycle", "cycles")):
        return Duration(cycles=_whole(value, text, "cycles"))
    return Duration(picoseconds=_whole(value, text, "picoseconds"))


def parse_energy(text: object) -> float:
    """Picojoules."""
    return float(_parse(text, ENERGY_UNITS, "an energy", "0.2 pJ"))


def parse_energy_per_bit(text: object) -> float:
    """Picojoules a bit."""
    return float(_parse(text, ENERGY_PER_BIT_UNITS, "an energy per bit", "20 pJ/bit"))


def parse_power(text: object) -> float:
    """Milliwatts."""
    return float(_parse(text, POWER_UNITS, "a power", "50 mW"))


def parse_area(text: object) -> float:
    """Square micrometres."""
    return float(_parse(text, AREA_UNITS, "an area", "282 um2"))


def transfer_cycles(*, transferred_bytes: int, bytes_per_second: int, clock_hz: int) -> int:
    """Cycles that a port of this bandwidth is busy: the exact quotient, rounded up to the next clock edge.

    Examples
    --------
    >>> transfer_cycles(transferred_bytes=4096, bytes_per_second=25_600_000_000, clock_hz=800_000_000)
    128
    """
    return -(-transferred_bytes * clock_hz // bytes_per_second)


def cycles_to_us(cycles: int, *, clock_hz: int) -> float:
    """Microseconds of a number of cycles."""
    return cycles * 1e6 / clock_hz


def format_size(size_bytes: int) -> str:
    """For people: the largest binary unit that leaves a number of at least 1, three significant digits.

    >>> format_size(524288), format_size(1000), format_size(25_557_032)
    ('512 KiB', '1000 B', '24.4 MiB')
    """
    for prefix, factor in reversed(_BINARY.items()):
        if size_bytes >= factor:
            return f"{_short(size_bytes / factor)} {prefix}B"
    return f"{size_bytes} B"


def format_scaled(value: float, unit: str) -> str:
    """For people: a number with an SI prefix, three significant digits.

    >>> format_scaled(4_089_184_256, "MAC"), format_scaled(0.0123, "J"), format_scaled(0, "J")
    ('4.09 GMAC', '12.3 mJ', '0 J')
    """
    if value == 0:
        return f"0 {unit}"
    for exponent, prefix in ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k"), (0, ""), (-3, "m"), (-6, "u"), (-9, "n")):
        if abs(value) >= 10.0**exponent * 0.9995:
            return f"{_short(value / 10.0**exponent)} {prefix}{unit}"
    return f"{_short(value * 1e12)} p{unit}"


def format_energy(energy_pj: float) -> str:
    """For people, from picojoules.

    >>> format_energy(12_300_000_000)
    '12.3 mJ'
    """
    return format_scaled(energy_pj * 1e-12, "J")


def format_time(time_us: float) -> str:
    """For people, from microseconds.

    >>> format_time(12_345.6), format_time(0.25)
    ('12.3 ms', '250 ns')
    """
    return format_scaled(time_us * 1e-6, "s")


def _short(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
