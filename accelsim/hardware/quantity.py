"""The field types of the YAML whose values carry a unit.

In the YAML (and in Python constructors) a quantity is text with its unit; on the model it is a plain number whose name
tells the unit: ``Buffer(capacity="512 KiB").capacity_bytes == 524288``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, PositiveInt, WithJsonSchema

from accelsim import units
from accelsim.errors import UnitError


class Spec(BaseModel):
    """Base of every part of an accelerator description: frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    def to_document(self) -> dict[str, Any]:
        """The description as plain data with exact units; `model_validate` reads it back to an equal value."""
        return self.model_dump(mode="json", by_alias=True)


def _checked(parse: Callable[[object], Any]) -> Callable[[object], Any]:
    """pydantic collects `ValueError`s with the place where they happened."""

    def validate(value: object) -> Any:
        try:
            return parse(value)
        except UnitError as error:
            raise ValueError(error.problem) from None

    return validate


def _positive(parse: Callable[[object], Any]) -> Callable[[object], Any]:
    def validate(value: object) -> Any:
        parsed = parse(value)
        if parsed <= 0:
            raise UnitError(f'expected more than 0, got "{value}"')
        return parsed

    return validate


_RATIO_EXPECTED = 'expected a whole number or a fraction such as "1/4"'


def _ratio(value: object) -> Fraction:
    """A whole number, or text such as "1/4"; decimal fractions are refused, since they are seldom exact."""
    if isinstance(value, bool) or not isinstance(value, Fraction | int | str):
        raise ValueError(_RATIO_EXPECTED)
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,9}(/0*[1-9][0-9]{0,8})?", value):
        raise ValueError(_RATIO_EXPECTED)
    ratio = Fraction(value)
    if ratio <= 0:
        raise ValueError("expected more than 0")
    return ratio


def _text_schema(description: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": description, "examples": [example]})


Size = Annotated[
    int, BeforeValidator(_checked(_positive(units.parse_size))),
    PlainSerializer(lambda value: f"{value} B", return_type=str), _text_schema("a size with its unit", "512 KiB")]
Bandwidth = Annotated[
    int, BeforeValidator(_checked(_positive(units.parse_bandwidth))),
    PlainSerializer(lambda value: f"{value} B/s", return_type=str), _text_schema("a bandwidth", "25.6 GB/s")]
Frequency = Annotated[
    int, BeforeValidator(_checked(_positive(units.parse_frequency))),
    PlainSerializer(lambda value: f"{value} Hz", return_type=str), _text_schema("a frequency", "800 MHz")]
Time = Annotated[
    units.Duration, BeforeValidator(_checked(units.parse_duration)),
    PlainSerializer(str, return_type=str), _text_schema("a time, or a number of clock cycles", "60 ns")]
Energy = Annotated[
    float, BeforeValidator(_checked(units.parse_energy)),
    PlainSerializer(lambda value: f"{value!r} pJ", return_type=str), _text_schema("an energy", "0.2 pJ")]
EnergyPerBit = Annotated[
    float, BeforeValidator(_checked(units.parse_energy_per_bit)),
    PlainSerializer(lambda value: f"{value!r} pJ/bit", return_type=str),
    _text_schema("an energy per bit", "20 pJ/bit")]
Power = Annotated[
    float, BeforeValidator(_checked(units.parse_power)),
    PlainSerializer(lambda value: f"{value!r} mW", return_type=str), _text_schema("a power", "50 mW")]
Area = Annotated[
    float, BeforeValidator(_checked(units.parse_area)),
    PlainSerializer(lambda value: f"{value!r} um2", return_type=str), _text_schema("an area", "282 um2")]
Ratio = Annotated[
    Fraction, BeforeValidator(_ratio), PlainSerializer(str, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": r"^[0-9]+(/[0-9]+)?$"}],
                    "description": "a whole number, or a fraction", "examples": ["1/4"]})]
Count = PositiveInt
