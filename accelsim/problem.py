"""What is wrong with a description that a user wrote, in words, before it is known in which line that stands."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

#: Keys and list positions from the root of a description to one of its values.
FieldPath = tuple[str | int, ...]

MISSING = "expected this key, which is missing"

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


def nearest(word: object, choices: Iterable[str]) -> str | None:
    """The choice that the word is a misspelling of, if any."""
    close = difflib.get_close_matches(str(word)[:_LONGEST_QUOTE], list(choices), n=1)
    return close[0] if close else None


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """`` (did you mean "rows"?)`` where one of the choices is close, else nothing.

    >>> did_you_mean("rwos", ["rows", "columns"]), did_you_mean("zzz", ["rows"])
    (' (did you mean "rows"?)', '')
    """
    close = nearest(word, choices)
    return f' (did you mean "{close}"?)' if close is not None else ""


def unknown_key(key: object, known: Collection[str]) -> str:
    """What a message says of a key that is none of the known ones.

    >>> unknown_key("rwos", ["rows", "columns"]), unknown_key("zzz", ["rows", "columns"])
    ('expected a known key, got "rwos" (did you mean "rows"?)', 'expected one of rows, columns, got "zzz"')
    """
    guess = did_you_mean(key, known)
    return f"expected {'a known key' if guess else _one_of(known)}, got {quoted(key)}{guess}"


def wrong_choice(value: object, choices: Collection[str]) -> str:
    """What a message says of a value that is none of the choices.

    >>> wrong_choice("magic", ["fixed"])
    'expected fixed, got "magic"'
    """
    guess = did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"expected {_one_of(choices)}, got {quoted(value)}{guess}"


def _one_of(choices: Collection[str]) -> str:
    return f"{'one of ' if len(choices) > 1 else ''}{', '.join(choices)}"
