"""YAML with line numbers: every value knows where it stands, so that messages can say it.

The files are plain data: mappings with text keys, lists, text, numbers, true and false. Doubled keys,
anchors, aliases, merges and tags are refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from accelsim.errors import WorkloadError

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Entry:
    """A value and the line that it stands in, counted from 1."""

    value: dict[str, Entry] | list[Entry] | str | int | float | bool | None
    line: int

    @property
    def text(self) -> str:
        """What messages show as found."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "[" + ", ".join(entry.text for entry in self.value) + "]"
        if self.value is None:
            return "nothing"
        if isinstance(self.value, bool):
            return str(self.value).lower()
        return f'"{self.value}"' if isinstance(self.value, str) else str(self.value)


def read_yaml(content: bytes, file: str) -> Entry:
    """The document in `content`.

    Raises
    ------
    WorkloadError : not YAML, or more of YAML than plain data, with file and line.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise WorkloadError("expected text in UTF-8, got other bytes", file=file) from None
    try:
        node = YAML(typ="rt", pure=True).compose(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise WorkloadError(f"not YAML: {problem}", file=file, line=mark.line + 1 if mark else None) from None
    except (ValueError, AttributeError, IndexError, TypeError, AssertionError, KeyError) as error:
        # ruamel stumbles over some broken directives and escapes with errors of its own parts.
        raise WorkloadError(f"not YAML: {error}", file=file) from None
    except RecursionError:
        raise WorkloadError("not YAML: nested too deeply", file=file) from None
    if node is None:
        raise WorkloadError("the file is empty", file=file)
    return _entry(node, file)


def _entry(node: Node, file: str) -> Entry:
    line = node.start_mark.line + 1
    if node.anchor is not None:
        raise WorkloadError("expected plain values, got an anchor", file=file, line=line)
    if isinstance(node, MappingNode):
        return Entry(_mapping(node, file), line)
    if isinstance(node, SequenceNode):
        return Entry([_entry(item, file) for item in node.value], line)
    assert isinstance(node, ScalarNode)
    return Entry(_scalar(node, file, line), line)


def _mapping(node: MappingNode, file: str) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode) or str(key.tag) != f"{_TAG}str":
            raise WorkloadError("expected a text as key", file=file, line=line)
        if key.value in entries:
            raise WorkloadError(
                f"the key stands twice (first in line {entries[key.value].line})",
                file=file,
                line=line,
                field=key.value,
            )
        entry = _entry(value, file)
        # A value left out "stands" wherever the parser noticed; the reader looks for it behind its key.
        entries[key.value] = Entry(None, line) if entry.value is None else entry
    return entries


def _scalar(node: ScalarNode, file: str, line: int) -> str | int | float | bool | None:
    tag = str(node.tag).removeprefix(_TAG)
    text = str(node.value)
    try:
        if tag == "int":
            return int(text, 0)
        if tag == "float":
            return float(text)
    except ValueError:
        raise WorkloadError(f'expected a number, got "{text[:40]}"', file=file, line=line) from None
    if tag == "bool":
        return text.lower() == "true"
    if tag == "null":
        return None
    if tag == "str":
        return text
    raise WorkloadError(f'expected plain values, got the tag "{node.tag}"', file=file, line=line)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``, did you mean "stride"?`` or nothing.

    >>> did_you_mean("strid", ["kernel", "stride"])
    ', did you mean "stride"?'
    """
    near = get_close_matches(name, list(known), n=1)
    return f', did you mean "{near[0]}"?' if near else ""


@dataclass(frozen=True)
class Section:
    """A mapping of the file with the dotted path that messages show.

    Parameters
    ----------
    file : for messages.
    field : dotted path, "" for the whole document.
    entries : key -> value.
    line : where the mapping begins.
    """

    file: str
    field: str
    entries: dict[str, Entry]
    line: int

    @staticmethod
    def of(entry: Entry, file: str, field: str) -> Section:
        """Raises WorkloadError where the entry is no mapping."""
        if not isinstance(entry.value, dict):
            raise WorkloadError(
                f"expected a mapping, got {entry.text}", file=file, line=entry.line, field=field
            )
        return Section(file, field, entry.value, entry.line)

    def error(self, problem: str, key: str = "") -> WorkloadError:
        """A mistake in the value of a key, or in the mapping as a whole."""
        line = self.entries[key].line if key in self.entries else self.line
        field = ".".join(part for part in (self.field, key) if part)
        return WorkloadError(problem, file=self.file, line=line, field=field)

    def check_keys(self, required: Iterable[str], optional: Iterable[str]) -> None:
        """Refuses unknown and missing keys."""
        known = [*required, *optional]
        for key in self.entries:
            if key not in known:
                raise self.error(f"no such key{did_you_mean(key, known)}", key)
        for key in required:
            if key not in self.entries:
                raise self.error(f'the key "{key}" is missing')

    def items(self, key: str) -> list[Entry]:
        """The list behind a key; empty without the key."""
        if key not in self.entries:
            return []
        value = self.entries[key].value
        if not isinstance(value, list):
            raise self.error(f"expected a list, got {self.entries[key].text}", key)
        return value

    def section(self, key: str) -> Section:
        """The mapping behind a key; empty without the key."""
        entry = self.entries.get(key, Entry({}, self.line))
        return Section.of(entry, self.file, ".".join(part for part in (self.field, key) if part))

    def text(self, key: str, default: str | None = None) -> str:
        if key not in self.entries and default is not None:
            return default
        value = self.entries[key].value
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"expected a text, got {self.entries[key].text}", key)
        return value

    def choice(self, key: str, choices: Iterable[str], default: str | None = None) -> str:
        value = self.text(key, default)
        known = list(choices)
        if value not in known:
            raise self.error(
                f'expected one of {", ".join(known)}, got "{value}"{did_you_mean(value, known)}', key
            )
        return value

    def flag(self, key: str, default: bool) -> bool:
        if key not in self.entries:
            return default
        value = self.entries[key].value
        if not isinstance(value, bool):
            raise self.error(f"expected true or false, got {self.entries[key].text}", key)
        return value
