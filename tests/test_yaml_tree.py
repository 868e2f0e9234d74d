"""YAML text as data with lines: what is read, and the one line with which everything else is refused."""

from __future__ import annotations

import time

import pytest

from accelsim.errors import AccelsimError, HardwareError, WorkloadError
from accelsim.problem import Problem
from accelsim.yaml_tree import YamlTree, read_yaml


def read(text: str, raises: type[AccelsimError] = WorkloadError) -> YamlTree:
    return read_yaml(text, file="a.yaml", raises=raises)


def refusal(text: str) -> str:
    with pytest.raises(WorkloadError) as caught:
        read(text)
    return str(caught.value)


def problem(text: str) -> str:
    """The first problem of a text that can be read nevertheless."""
    return str(read(text).error([]))


def test_every_key_and_item_has_its_line_and_column() -> None:
    tree = read("a: 1\nb:\n  - x\n  - {c: 2}\n")
    assert tree.data == {"a": 1, "b": ["x", {"c": 2}]}
    assert tree.places == {(): (1, 1), ("a",): (1, 1), ("b",): (2, 1), ("b", 0): (3, 5), ("b", 1): (4, 5),
                           ("b", 1, "c"): (4, 6)}
    assert tree.place_of(("b", 1, "d", "e")) == (4, 5)


@pytest.mark.parametrize(("text", "value"), [
    ("yes", "yes"), ("true", True), ("~", None), ("", None), ("# nothing", None), ("010", 10), ("0x10", 16), ("0o17", 15),
    ("-1_000", -1000), ("1.5", 1.5), ("-.INF", float("-inf")), ("2020-01-01", "2020-01-01"), ("'1'", "1"),
])
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    data = read(text).data
    assert (data, type(data)) == (value, type(value))


def test_nan_is_read_as_the_number_that_equals_nothing() -> None:
    data = read(".nan").data
    assert isinstance(data, float)
    assert data != data


def test_explicit_keys_come_before_merged_ones_and_the_first_merged_before_the_second() -> None:
    tree = read("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\n")
    assert tree.data["c"] == {"x": 3, "y": 1, "z": 2}
    assert tree.problems == ()


@pytest.mark.parametrize(("text", "message"), [
    ("name: a\n\tclock: 1 GHz\n", "a.yaml:2: expected spaces before the key, got a tab"),
    ("name: [a\n", "a.yaml:2: expected YAML: expected ',' or ']', but got '<stream end>'"),
    ("name: a: b\n", "a.yaml:1: expected YAML: mapping values are not allowed here"),
    ("name: a\n---\nname: b\n", "a.yaml:2: expected one document, got another after it"),
    ("name: a\nclock: \x07\n", "a.yaml:2: expected text, got the character U+0007"),
    ("&a {name: *a}\n", "a.yaml:1: expected a tree, got an anchor that contains itself"),
    ("&a {<<: *a}\n", "a.yaml:1: expected a tree, got an anchor that contains itself"),
    ("name: *nobody\n", "a.yaml:1: expected YAML: found undefined alias 'nobody'"),
])
def test_text_that_is_no_yaml_is_refused(text: str, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize(("text", "message"), [
    ("a: 1\nb: 2\na: 3\n", "a.yaml:3: a: expected this key once, got it again (first in line 1)"),
    ("a: [{b: 1,\n b: 2}]\n", "a.yaml:2: a.0.b: expected this key once, got it again (first in line 1)"),
    ("1: a\n", 'a.yaml:1: expected text as a key, got "1"'),
    ("? [a]\n: 1\n", "a.yaml:1: expected text as a key, got a list or mapping"),
    ("a: !fast 1\n", 'a.yaml:1: a: expected plain YAML, got the tag "!fast"'),
    ("<<: 3\n", "a.yaml:1: expected a mapping, or a list of mappings, to merge"),
    ("a: " + "9" * 5000, f'a.yaml:1: a: expected a number, got "{"9" * 60}..."'),
    ('a: "\\ud800"\n', 'a.yaml:1: a: expected Unicode text, got "\\ud800"'),
])
def test_problems_of_the_text_are_kept_beside_its_data(text: str, message: str) -> None:
    assert problem(text) == message


def test_first_problem_in_the_order_of_the_file_is_told_and_what_follows_from_it_is_not() -> None:
    tree = read("a: 1\nb: {c: 1, c: 2}\nd: 3\n")
    assert str(tree.error([Problem(("d",), "late"), Problem(("a",), "early")])) == "a.yaml:1: a: early"
    assert str(tree.error([Problem(("b",), "follows"), Problem(("d",), "late")])) == (
        "a.yaml:2: b.c: expected this key once, got it again (first in line 2)")


@pytest.mark.parametrize("text", ["[" * 5000, "[" * 2**20, "{a: " * 5000, "- " * 5000, "? " * 5000, "[\n" * 5000,
                                  "a: [" + "[" * 64 + "]" * 64 + "]", "{a: " * 70 + "}" * 70])
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    begin = time.process_time()
    assert refusal(text) == "a.yaml: expected at most 64 levels of nesting, got more"
    assert time.process_time() - begin < 1


def test_sixty_levels_are_read() -> None:
    data = read("[" * 60 + "]" * 60).data
    for _ in range(59):
        (data,) = data
    assert data == []


def test_anchors_that_unfold_without_end_are_refused() -> None:
    levels = ["x0: &x0 [1, 2]"] + [f"x{i}: &x{i} [*x{i - 1}, *x{i - 1}]" for i in range(1, 40)]
    assert refusal("\n".join(levels)) == "a.yaml: expected at most 100000 values, got more"
    merges = ["x0: &x0 {a: 1}"] + [f"x{i}: &x{i} {{<<: [*x{i - 1}, *x{i - 1}]}}" for i in range(1, 40)]
    assert refusal("\n".join(merges)) == "a.yaml: expected at most 100000 values, got more"


def test_error_is_that_of_whoever_reads() -> None:
    with pytest.raises(HardwareError):
        read("[", raises=HardwareError)
    assert type(read("a: 1\na: 2", raises=HardwareError).error([])) is HardwareError
