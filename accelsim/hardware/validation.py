"""What pydantic finds wrong with a description, in our words."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from accelsim.problem import MISSING, FieldPath, Problem, nearest, quoted, unknown_key, wrong_choice


def problems_of(error: ValidationError, *, model: type[BaseModel], document: object) -> list[Problem]:
    """pydantic's findings in our words; `document` is what was validated by `model`.

    A missing key is left out where a misspelt one beside it explains it.
    """
    details = error.errors(include_url=False)
    misspelt = {guess for detail in details if detail["type"] == "extra_forbidden"
                for guess in [_meant(model, detail["loc"], _located(detail["loc"], document))] if guess is not None}
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
        return Problem(path, unknown_key(path[-1], _keys(_part(model, detail["loc"][:-1]))))
    if kind == "missing":
        return Problem(path, MISSING)
    if kind == "literal_error":
        choices = _choices(limits["expected"])
        if detail["input"] in choices and "'" not in limits["expected"]:  # a number in quotes
            return Problem(path, f"expected one of {', '.join(choices)}, a number, got {got}")
        return Problem(path, wrong_choice(detail["input"], choices))
    if kind == "union_tag_not_found":
        return Problem((*path, "kind"), MISSING)
    if kind == "union_tag_invalid":
        return Problem((*path, "kind"), wrong_choice(detail["input"]["kind"], _choices(limits["expected_tags"])))
    return Problem(path, f"expected {_expected(kind, limits, detail['msg'])}, got {got}")


def _raised(text: str, path: FieldPath, got: str) -> Problem:
    """A ValueError of our own models: either "expected ...", or "relative.field: expected ..."."""
    if text.startswith("expected "):
        return Problem(path, f"{text.split(', got ')[0]}, got {got}")
    relative, _, problem = text.partition(": ")
    parts = tuple(int(part) if part.isdigit() else part for part in relative.split("."))
    return Problem((*path, *parts), problem)


def _choices(listed: str) -> list[str]:
    """The choices in pydantic's list of them: ``'a', 'b' or 'c'``."""
    return [choice.strip().strip("'") for choice in listed.replace(" or ", ", ").split(", ")]


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


def _meant(model: type[BaseModel], location: FieldPath, path: FieldPath) -> FieldPath | None:
    close = nearest(path[-1], _keys(_part(model, location[:-1])))
    return None if close is None else (*path[:-1], close)


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _part(model: type[BaseModel], location: FieldPath) -> type[BaseModel] | None:
    """The model that describes the part of the description at pydantic's location, tags of unions included."""
    here: Any = model
    for key in location:
        here = _below(here, key)
    models = _models(here)
    return models[0] if models else None


def _below(annotation: Any, key: str | int) -> Any:
    models = _models(annotation)
    for model in models if len(models) > 1 else ():
        if "kind" in model.model_fields and key in get_args(model.model_fields["kind"].annotation):
            return model
    for model in models:
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
