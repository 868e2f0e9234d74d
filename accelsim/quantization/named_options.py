"""A method by its name, with options, as policies and command lines write them: ``mse`` or ``{setter: mse, steps: 200}``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from accelsim.errors import NumericsError
from accelsim.problem import quoted, unknown_key, wrong_choice

Method = TypeVar("Method")


def named(kinds: Mapping[str, type[Method]], name: str, options: Mapping[str, object], *, what: str) -> Method:
    """The method of that name, with options as its class describes them.

    Parameters
    ----------
    kinds : frozen dataclasses by name; every field has a default, which tells its type.
    what : they are; a complaint about the name says it.

    Raises
    ------
    NumericsError : another name; an option that it does not have, or a value that the option cannot have.
    """
    if name not in kinds:
        raise NumericsError(wrong_choice(name, kinds), field=what)
    kind: Any = kinds[name]
    known = {each.name: type(each.default) for each in dataclasses.fields(kind)}
    for option, value in options.items():
        if option not in known:
            problem = unknown_key(option, known) if known else f"expected no options, got {quoted(option)}"
            raise NumericsError(problem, field=f"{name}.{option}")
        _require_type(known[option], option, value)
    made: Method = kind(**options)
    return made


def _require_type(expected: type, option: str, value: object) -> None:
    """Refuse a value of another type than the option's default; a whole number will do for a real one."""
    accepted: dict[type, tuple[str, tuple[type, ...]]] = {
        bool: ("true or false", (bool,)), int: ("a whole number", (int,)), float: ("a number", (int, float)),
        str: ("a name", (str,)), type(None): ("a whole number", (int, type(None)))}
    words, types = accepted[expected]
    if not isinstance(value, types) or (isinstance(value, bool) and expected is not bool):
        raise NumericsError(f"expected {words}, got {quoted(value)}", field=option)
