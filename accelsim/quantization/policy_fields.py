"""Fields of a policy that are a name, or a mapping of the name and options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from accelsim.errors import NumericsError
from accelsim.problem import quoted
from accelsim.quantization.granularity import Granularity
from accelsim.quantization.nonuniform.formats import weight_format
from accelsim.quantization.nonuniform.weight_format import WeightFormat
from accelsim.quantization.ranges.range_setter import RangeSetter
from accelsim.quantization.ranges.setters import range_setter
from accelsim.quantization.rounding_method import RoundingMethod, rounding_method

_SCHEMA = WithJsonSchema({"type": ["string", "object"]})


def _granularity(value: object) -> Granularity | None:
    """Of weights (G * N, K): ``tensor``, ``channel``, or ``{kind: sub_channel, size: 32}``."""
    if value is None or isinstance(value, Granularity):
        return value
    document = {"kind": value} if isinstance(value, str) else value
    if not isinstance(document, Mapping) or not {"kind"} <= document.keys() <= {"kind", "size"}:
        raise ValueError("expected tensor, channel, or a kind with a size such as {kind: sub_channel, size: 32}")
    kind, size = document["kind"], document.get("size")
    axis = {"tensor": None, "sub_channel": 1}.get(str(kind), 0)
    if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
        raise ValueError(f"size: expected a whole number, got {quoted(size)}")
    try:
        return Granularity(kind, axis=axis, size=size)
    except NumericsError as error:
        # A relative path, so that the whole line is kept.
        place = "size" if error.field == "granularity.size" else "kind"
        raise ValueError(f"{place}: {error.problem}") from None


def _granularity_document(granularity: Granularity | None) -> Any:
    if granularity is None:
        return None
    return granularity.kind if granularity.size is None else {"kind": granularity.kind, "size": granularity.size}


class _Named(NamedTuple):
    """Objects that a policy makes by name: ``mse``, or ``{setter: mse, steps: 200}``.

    Parameters
    ----------
    kind : of the objects: dataclasses with a `name`, whose fields are the options.
    key : under which a mapping has the name.
    what : they are, with an example.
    make : of a name and options.
    """

    kind: type
    key: str
    what: str
    make: Callable[[str, Mapping[str, object]], object]

    def parsed(self, value: object) -> Any:
        if value is None or isinstance(value, self.kind):
            return value
        document = {self.key: value} if isinstance(value, str) else value
        if not isinstance(document, Mapping) or self.key not in document:
            raise ValueError(f"expected the name of a {self.what}")
        options = {str(name): option for name, option in document.items() if name != self.key}
        try:
            return self.make(str(document[self.key]), options)
        except NumericsError as error:
            # A relative path, so that the whole line is kept: "setter: expected one of ..., got ... (did you mean ...?)".
            option = (error.field or "").rpartition(".")[2]
            place = option if option in options else self.key
            raise ValueError(f"{place}: {error.problem}") from None

    def document(self, chosen: Any) -> Any:
        if chosen is None:
            return None
        options = {name: option for name, option in asdict(chosen).items() if option is not None}
        return {self.key: chosen.name, **options} if options else chosen.name


_RANGES = _Named(
    RangeSetter, "setter", "range setter, or one with its options such as {setter: mse, steps: 200}", range_setter)
_FORMATS = _Named(
    WeightFormat, "kind", "format, or one with its options such as {kind: ternary, delta: mean}", weight_format)
_ROUNDINGS = _Named(
    RoundingMethod, "name", "rounding, or one with its options such as {name: adaround, iterations: 1000}", rounding_method)

GranularityField = Annotated[Any, BeforeValidator(_granularity), PlainSerializer(_granularity_document), _SCHEMA]
RangeField = Annotated[Any, BeforeValidator(_RANGES.parsed), PlainSerializer(_RANGES.document), _SCHEMA]
FormatField = Annotated[Any, BeforeValidator(_FORMATS.parsed), PlainSerializer(_FORMATS.document), _SCHEMA]
RoundingField = Annotated[Any, BeforeValidator(_ROUNDINGS.parsed), PlainSerializer(_ROUNDINGS.document), _SCHEMA]
