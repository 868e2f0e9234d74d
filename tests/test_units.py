"""Quantities are exact, carry their unit, or are refused."""

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import units
from accelsim.errors import UnitError
from accelsim.units import Duration


@pytest.mark.parametrize(("text", "expected"), [
    ("1 B", 1), ("1KB", 1000), ("1 KiB", 1024), ("1.5 KiB", 1536), ("2 MiB", 2 * 2**20),
    ("3 GB", 3 * 10**9), ("0.5 TiB", 2**39)])
def test_sizes_are_whole_bytes(text, expected):
    assert units.parse_size(text) == expected


@pytest.mark.parametrize(("parse", "text", "message"), [
    (units.parse_size, "512", 'expected a size such as "512 KiB", got "512"'),
    (units.parse_size, 512, 'expected a size such as "512 KiB", got 512'),
    (units.parse_size, "512 KiB/s", 'expected a size such as "512 KiB", got "512 KiB/s"'),
    (units.parse_size, "-1 KiB", 'expected a size such as "512 KiB", got "-1 KiB"'),
    (units.parse_size, "0.3 B", 'expected a whole number of bytes, got "0.3 B"'),
    (units.parse_size, "nan B", 'expected a size such as "512 KiB", got "nan B"'),
    (units.parse_size, "1 kib", 'expected a size such as "512 KiB", got "1 kib"'),
    (units.parse_bandwidth, "25.6 GB", 'expected a bandwidth such as "25.6 GB/s", got "25.6 GB"'),
    (units.parse_frequency, "800 MB", 'expected a frequency such as "800 MHz", got "800 MB"'),
    (units.parse_energy_per_bit, "20 pJ", 'expected an energy per bit such as "20 pJ/bit", got "20 pJ"'),
    (units.parse_duration, "0.5 cycles", 'expected a whole number of cycles, got "0.5 cycles"'),
    (units.parse_duration, "60", 'expected a time such as "60 ns" or "100 cycles", got "60"'),
    (units.parse_power, None, 'expected a power such as "50 mW", got None'),
])
def test_a_wrong_quantity_is_told_with_an_example(parse, text, message):
    with pytest.raises(UnitError) as caught:
        parse(text)
    assert str(caught.value) == message


@given(st.text())
def test_no_text_makes_a_parser_fail_otherwise(text):
    for parse in (units.parse_size, units.parse_bandwidth, units.parse_frequency, units.parse_duration, units.parse_energy,
                  units.parse_energy_per_bit, units.parse_power, units.parse_area):
        with suppress(UnitError):
            parse(text)


@given(st.integers(0, 10**12), st.integers(1, 10**13), st.integers(1, 10**10))
def test_a_transfer_takes_the_exact_quotient_rounded_up(size, bytes_per_second, clock_hz):
    exact = Fraction(size) * clock_hz / bytes_per_second
    cycles = units.transfer_cycles(transferred_bytes=size, bytes_per_second=bytes_per_second, clock_hz=clock_hz)
    assert cycles - 1 < exact <= cycles


@given(st.integers(0, 10**9), st.integers(1, 10**10))
def test_a_time_lasts_until_the_first_clock_edge_behind_it(picoseconds, clock_hz):
    cycles = Duration(picoseconds=picoseconds).to_cycles(clock_hz=clock_hz)
    assert cycles - 1 < Fraction(picoseconds, 10**12) * clock_hz <= cycles


@pytest.mark.parametrize(("value", "expected"), [
    (0.9999, "1 J"), (999.96, "1 kJ"), (999.4, "999 J"), (0.001, "1 mJ"), (1.005e-9, "1 nJ"), (5e-15, "0.01 pJ"),
    (-2500.0, "-2.5 kJ")])
def test_people_read_three_digits_and_a_prefix(value, expected):
    assert units.format_scaled(value, "J") == expected
