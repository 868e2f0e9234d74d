"""What is wrong with a description and where, before it is known in which line that stands."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

#: Keys and list positions from the root of a description to one of its values.
FieldPath = tuple[str | int, ...]

_LONGEST_QUOTE = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the field, and what was expected and found there.

    Examples
    --------
    >>> Problem(("pe_grid", "rows"), "expected at least 1, got 0").field
    'pe_grid.rows'
    """

    path: FieldPath
    text: str

    @property
    def field(self) -> str:
        return ".".join(part if isinstance(part, str) and part.isprintable() else quoted(part).strip('"')
                        for part in self.path)


def quoted(value: object) -> str:
    """A value as a message shows it: text in quotes, one short line, nothing that a terminal could not print.

    >>> quoted("a\\nb"), quoted(True), quoted(None), quoted({"a": 1}), quoted(2.5)
    ('"a\\\\nb"', 'true', 'nothing', 'a mapping', '2.5')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = value if value.isprintable() else repr(value)[1:-1]
        return f'"{text}"' if len(text) <= _LONGEST_QUOTE else f'"{text[:_LONGEST_QUOTE]}..."'
    if isinstance(value, int | float):
        return str(value) if isinstance(value, float) or abs(value) < 10**_LONGEST_QUOTE else "a huge number"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else type(value).__name__


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """`` (did you mean "rows"?)`` where one of the choices is close, else nothing.

    >>> did_you_mean("rwos", ["rows", "columns"]), did_you_mean("zzz", ["rows"])
    (' (did you mean "rows"?)', '')
    """
    close = difflib.get_close_matches(str(word)[:_LONGEST_QUOTE], list(choices), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def problems_of(error: ValidationError, *, model: type[BaseModel], document: object) -> list[Problem]:
    """pydantic's findings in our words; `document` is what was validated by `model`.

    A missing key is left out where a misspelt one beside it explains it.
    """
    details = error.errors(include_url=False)
    misspelt = {guess for detail in details if detail["type"] == "extra_forbidden"
                for guess in [_meant(model, _located(detail["loc"], document))] if guess is not None}
    found = []
    for detail in details:
        path = _located(detail["loc"], document)
        if detail["type"] == "missing" and path in misspelt:
            continue
        found.append(_problem(detail, path, model))
    return found


def _located(location: FieldPath, document: object) -> FieldPath:
    """The path in the document: without the tags that pydantic puts in for a choice of models by `kind`."""
    path: list[str | int] = []
    here = document
    for part in location:
        if isinstance(here, Mapping):
            if part not in here and here.get("kind") == part:
                continue
            here = here.get(part)
        elif isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            here = None
        path.append(part)
    return tuple(path)


def _problem(detail: ErrorDetails, path: FieldPath, model: type[BaseModel]) -> Problem:
    kind, got, limits = detail["type"], quoted(detail["input"]), detail.get("ctx", {})
    if kind == "value_error":
        return _raised(str(limits["error"]), path, got)
    if kind == "extra_forbidden":
        return Problem(path, _unknown_key(model, path))
    if kind == "missing":
        return Problem(path, "expected this key, which is missing")
    if kind == "literal_error":
        return Problem(path, _wrong_choice(detail["input"], limits["expected"], got))
    if kind == "union_tag_not_found":
        return Problem((*path, "kind"), "expected this key, which is missing")
    if kind == "union_tag_invalid":
        return Problem((*path, "kind"), _wrong_choice(limits["tag"], limits["expected_tags"], quoted(limits["tag"])))
    return Problem(path, f"expected {_expected(kind, limits, detail['msg'])}, got {got}")


def _raised(text: str, path: FieldPath, got: str) -> Problem:
    """A ValueError of our own models: either "expected ...", or "relative.field: expected ..."."""
    if text.startswith("expected "):
        return Problem(path, f"{text.split(', got ')[0]}, got {got}")
    relative, _, problem = text.partition(": ")
    parts = tuple(int(part) if part.isdigit() else part for part in relative.split("."))
    return Problem((*path, *parts), problem)


def _wrong_choice(value: object, expected: str, got: str) -> str:
    choices = [choice.strip().strip("'") for choice in expected.replace(" or ", ", ").split(", ")]
    listed = choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    return f"expected {listed}, got {got}{did_you_mean(value, choices) if isinstance(value, str) else ''}"


#: Types of pydantic's findings -> what was expected, in our words.
_EXPECTATIONS = {
    "int_type": "a whole number", "int_parsing_size": "a whole number of fewer digits", "bool_type": "true or false",
    "float_type": "a number", "finite_number": "a finite number", "string_type": "text",
    "string_unicode": "text in Unicode", "string_too_short": "text", "tuple_type": "a list", "list_type": "a list",
    "dict_type": "a mapping", "model_type": "a mapping", "model_attributes_type": "a mapping",
    "dataclass_type": "a time",
}


def _expected(kind: str, limits: Mapping[str, Any], message: str) -> str:
    if kind == "greater_than":
        return "at least 1" if limits["gt"] == 0 else f"more than {limits['gt']}"
    if kind == "greater_than_equal":
        return f"at least {limits['ge']}"
    if kind == "less_than_equal":
        return f"at most {limits['le']}"
    if kind == "too_short":
        return f"at least {limits['min_length']} in the list"
    return _EXPECTATIONS.get(kind, message)


def _unknown_key(model: type[BaseModel], path: FieldPath) -> str:
    known = _keys(_part(model, path[:-1]))
    guess = did_you_mean(path[-1], known)
    expected = "a known key" if guess else f"one of {', '.join(known)}"
    return f"expected {expected}, got {quoted(path[-1])}{guess}"


def _meant(model: type[BaseModel], path: FieldPath) -> FieldPath | None:
    close = difflib.get_close_matches(str(path[-1])[:_LONGEST_QUOTE], _keys(_part(model, path[:-1])), n=1)
    return (*path[:-1], close[0]) if close else None


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _part(model: type[BaseModel], path: FieldPath) -> type[BaseModel] | None:
    """The model that describes the part of the description at this path."""
    here: Any = model
    for key in path:
        here = _below(here, key)
    models = _models(here)
    return models[0] if models else None


def _below(annotation: Any, key: str | int) -> Any:
    for model in _models(annotation):
        for name, field in model.model_fields.items():
            if (field.alias or name) == key:
                return field.annotation
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is dict:
        return arguments[1]
    return arguments[0] if origin is tuple else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation allows: itself, or the members of a union."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [model for part in get_args(annotation) for model in _models(part)]
    if hasattr(annotation, "__metadata__"):
        return _models(get_args(annotation)[0])
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
