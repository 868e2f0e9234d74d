"""A mapping of a layer list: its values by key, checked for their type, and errors that name line and field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from accelsim.errors import AccelsimError
from accelsim.problem import MISSING, FieldPath, Problem, quoted, unknown_key, wrong_choice
from accelsim.yaml_tree import YamlTree


@dataclass(frozen=True)
class Section:
    """A mapping of the file.

    Parameters
    ----------
    tree : the file.
    path : where the mapping stands in it.
    entries : key -> value.
    field : how messages call it: the dotted path with names for numbers, "" for the whole document.
    """

    tree: YamlTree
    path: FieldPath
    entries: dict[str, Any]
    field: str

    @staticmethod
    def of(value: object, tree: YamlTree, path: FieldPath) -> Section:
        """Raises WorkloadError where the value is no mapping."""
        if not isinstance(value, dict):
            raise tree.error([Problem(path, f"expected a mapping, got {quoted(value)}")])
        return Section(tree, path, value, Problem(path, "").field)

    def error(self, problem: str, key: str = "") -> AccelsimError:
        """A mistake in the value of a key, or in the mapping as a whole."""
        line, _ = self.tree.place_of((*self.path, key))
        return self.tree.raises(problem, file=self.tree.file, line=line, field=self._field_of(key))

    def check_keys(self, required: Iterable[str], optional: Iterable[str]) -> None:
        """Refuses unknown and missing keys."""
        known = [*required, *optional]
        for key in self.entries:
            if key not in known:
                raise self.error(unknown_key(key, known), key)
        for key in required:
            if key not in self.entries:
                raise self.error(MISSING, key)

    def items(self, key: str) -> list[Any]:
        """The list behind a key; empty without the key."""
        value = self.entries.get(key, [])
        if not isinstance(value, list):
            raise self.error(f"expected a list, got {quoted(value)}", key)
        return value

    def section(self, key: str) -> Section:
        """The mapping behind a key; empty without the key."""
        value = self.entries.get(key, {})
        if not isinstance(value, dict):
            raise self.error(f"expected a mapping, got {quoted(value)}", key)
        return Section(self.tree, (*self.path, key), value, self._field_of(key))

    def text(self, key: str, default: str | None = None) -> str:
        value = self.entries.get(key, default)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"expected text, got {quoted(value)}", key)
        return value

    def choice(self, key: str, choices: Iterable[str], default: str | None = None) -> str:
        value, known = self.text(key, default), list(choices)
        if value not in known:
            raise self.error(wrong_choice(value, known), key)
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.entries.get(key, default)
        if not isinstance(value, bool):
            raise self.error(f"expected true or false, got {quoted(value)}", key)
        return value

    def _field_of(self, key: str) -> str:
        return ".".join(part for part in (self.field, key) if part)
