"""YAML text as plain data that remembers the line of every key; accelerators and layer lists are read through it.

YAML 1.2 with anchors and merge keys; no tags, no second document, keys are text and stand only once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from accelsim.errors import AccelsimError
from accelsim.problem import FieldPath, Problem, quoted

#: A description has some hundred values, a long layer list some ten thousand; anchors in anchors could unfold without end.
_MOST_VALUES = 100_000

#: Deeper nesting is refused: before ruamel sees it where brackets follow each other (it is quadratic in those of a line),
#: else while the tree is built.
_MOST_LEVELS = 64
_TOO_DEEP = re.compile(rf"(?:[\[{{]\s*){{{_MOST_LEVELS + 1}}}")

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_NUMBER_BASES = {"0x": 16, "0o": 8, "0b": 2}


@dataclass(frozen=True)
class YamlTree:
    """A YAML file, read.

    Parameters
    ----------
    file : its name in messages.
    data : dicts, lists and scalars.
    places : path -> (line, column) of the key or list item, both from 1; the root is the empty path.
    raises : the error of whoever reads the file.
    problems : what is wrong with the text apart from its meaning, such as doubled keys.
    """

    file: str
    data: Any
    places: dict[FieldPath, tuple[int, int]]
    raises: type[AccelsimError]
    problems: tuple[Problem, ...] = ()

    def place_of(self, path: FieldPath) -> tuple[int, int]:
        """Where the field stands, or, if it is not there, the part that it is missing from."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def error(self, problems: list[Problem]) -> AccelsimError:
        """The first of these problems, and of those of the text itself, in the order of the file.

        What a problem of the text does to the parts around it (a refused key seems to be missing) is not told.
        """
        causes = {problem.path[:length] for problem in self.problems for length in range(len(problem.path) + 1)}
        own = [problem for problem in problems if problem.path not in causes]
        first = min([*self.problems, *own], key=self._place)
        line, _ = self._place(first)
        return self.raises(first.text, file=self.file, line=line, field=first.field or None)

    def _place(self, problem: Problem) -> tuple[int, int]:
        return problem.place if isinstance(problem, _PlacedProblem) else self.place_of(problem.path)


@dataclass(frozen=True, slots=True)
class _PlacedProblem(Problem):
    """A problem that does not stand where its path does: the second of two equal keys."""

    place: tuple[int, int] = (1, 1)


def read_yaml(text: str, *, file: str, raises: type[AccelsimError]) -> YamlTree:
    """Text to data and lines; the data of an empty text is None.

    Raises
    ------
    AccelsimError : as `raises` says: text that is not YAML, or too deep or too large to be a description.
    """
    builder = _Builder(file, raises)
    try:
        if _TOO_DEEP.search(text):
            raise RecursionError
        yaml = YAML(typ="safe", pure=True)
        yaml.composer.warn_double_anchors = False
        root = yaml.compose(text)
        builder.places[()] = (1, 1) if root is None else _place(root)
        data = None if root is None else builder.build(root, ())
    except AccelsimError:
        raise
    except RecursionError:  # ours, or ruamel's on thousands of levels
        raise raises(f"expected at most {_MOST_LEVELS} levels of nesting, got more", file=file) from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise raises(_syntax(error), file=file, line=line) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = error.character if isinstance(error.character, int) else ord(error.character[:1] or "\0")
        raise raises(f"expected text, got the character U+{character:04X}", file=file, line=line) from None
    except Exception as error:  # ruamel's scanner also leaks IndexError, ValueError, ... on malformed text
        raise raises(f"expected YAML, got text that it cannot be ({error})", file=file) from None
    return YamlTree(file, data, builder.places, raises, tuple(builder.problems))


def _syntax(error: MarkedYAMLError) -> str:
    problem = error.problem or "a syntax error"
    if "'\\t'" in problem:
        return "expected spaces before the key, got a tab"
    if "another document" in problem:
        return "expected one document, got another after it"
    return f"expected YAML: {problem}"


@dataclass
class _Builder:
    """Walks ruamel's nodes once; lives for one file."""

    file: str
    raises: type[AccelsimError]
    places: dict[FieldPath, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _open: set[int] = field(default_factory=set)
    _values: int = 0

    def build(self, node: Node, path: FieldPath) -> Any:
        self._count()
        if len(path) > _MOST_LEVELS:
            raise RecursionError
        if not str(node.tag).startswith(_TAG):
            self._add(node, path, f"expected plain YAML, got the tag {quoted(str(node.tag))}")
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            raise self._endless(node)
        assert isinstance(node, MappingNode | SequenceNode)
        self._open.add(id(node))
        data = self._mapping(node, path) if isinstance(node, MappingNode) else self._sequence(node, path)
        self._open.discard(id(node))
        return data

    def _count(self) -> None:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise self.raises(f"expected at most {_MOST_VALUES} values, got more", file=self.file)

    def _sequence(self, node: SequenceNode, path: FieldPath) -> list[Any]:
        items = []
        for index, item in enumerate(node.value):
            self.places[*path, index] = _place(item)
            items.append(self.build(item, (*path, index)))
        return items

    def _mapping(self, node: MappingNode, path: FieldPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in self._pairs(node, path):
            # The first of two equal keys stays: an explicit key comes before the merged ones.
            name = key.value
            if name not in data:
                self.places[*path, name] = _place(key)
                data[name] = self.build(value, (*path, name))
        return data

    def _pairs(self, node: MappingNode, path: FieldPath) -> Iterator[tuple[ScalarNode, Node]]:
        """The node's own keys, then those of the mappings that it merges (YAML's ``<<``)."""
        self._count()
        first_lines: dict[str, int] = {}
        merged: list[MappingNode] = []
        for key, value in node.value:
            if key.tag == _MERGE:
                merged += self._merged(key, value, path)
            elif not isinstance(key, ScalarNode) or key.tag != f"{_TAG}str" or not _is_unicode(key.value):
                got = quoted(key.value) if isinstance(key, ScalarNode) else "a list or mapping"
                self._add(key, path, f"expected text as a key, got {got}")
            elif key.value in first_lines:
                self._add(key, (*path, key.value),
                          f"expected this key once, got it again (first in line {first_lines[key.value]})")
            else:
                first_lines[key.value] = key.start_mark.line + 1
                yield key, value
        for mapping in merged:
            if id(mapping) in self._open:
                raise self._endless(node)
            yield from self._pairs(mapping, path)

    def _merged(self, key: Node, value: Node, path: FieldPath) -> list[MappingNode]:
        candidates = value.value if isinstance(value, SequenceNode) else [value]
        if not all(isinstance(candidate, MappingNode) for candidate in candidates):
            self._add(key, path, "expected a mapping, or a list of mappings, to merge")
            return []
        return list(candidates)

    def _scalar(self, node: ScalarNode, path: FieldPath) -> object:
        kind, text = str(node.tag).removeprefix(_TAG), node.value
        if not _is_unicode(text):
            self._add(node, path, f"expected Unicode text, got {quoted(text)}")
            return None
        try:
            if kind == "null":
                return None
            if kind == "bool":
                return {"true": True, "false": False}.get(text.lower(), text)
            if kind == "int":
                return _whole_number(text)
            if kind == "float":
                return float(text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            self._add(node, path, f"expected a number, got {quoted(text)}")
        return text

    def _endless(self, node: Node) -> AccelsimError:
        line, _ = _place(node)
        return self.raises("expected a tree, got an anchor that contains itself", file=self.file, line=line)

    def _add(self, node: Node, path: FieldPath, text: str) -> None:
        self.problems.append(_PlacedProblem(path, text, _place(node)))


def _is_unicode(text: str) -> bool:
    """False for half of a surrogate pair, which YAML's escapes can write but no file can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _whole_number(text: str) -> int:
    digits = text.replace("_", "").lower()
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    return sign * int(digits, _NUMBER_BASES.get(digits[:2], 10))


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
