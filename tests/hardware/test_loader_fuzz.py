"""Whatever a user writes, only AccelsimError comes out, in one printable line."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from accelsim.errors import AccelsimError
from accelsim.hardware import load_accelerator, parse_accelerator, preset_path, with_changes

EDGE = load_accelerator("edge_16x16")
PRESET_TEXT = preset_path("edge_16x16").read_text(encoding="utf-8")
PRESET_WORDS = PRESET_TEXT.split()
FUZZ = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(
    ["1 GHz", "8 KiB", "-1 B", "1e99 GB/s", "horowitz_45nm", "fixed", "dot_product", "0 pJ"])
KEYS = st.sampled_from(["pe_grid", "rows", "kind", "energy", "memory", "buffers", "holds", "unconfirmed", "precision",
                        "schema_version", "name", "dram", "sram", "multiply"]) | st.text(max_size=6)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
                     max_leaves=20)


def refusal(read: Callable[[], object]) -> str | None:
    """The message with which a description is refused; None if it is read. Any other exception fails the test."""
    try:
        read()
    except AccelsimError as error:
        return str(error)
    return None


def assert_read_or_refused(text: str) -> None:
    message = refusal(lambda: parse_accelerator(text, file="fuzz.yaml"))
    assert message is None or (message.startswith("fuzz.yaml") and message.isprintable())


@FUZZ
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(tmp_path_factory, content: bytes) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(content)
    message = refusal(lambda: load_accelerator(path))
    assert message is not None
    assert message.startswith(str(path))


@FUZZ
@given(st.text(max_size=200) | st.text(alphabet="[]{}:,-?&*!|>'\"%@`#\n\t ab1<", max_size=60))
def test_random_text_is_refused(text: str) -> None:
    assert_read_or_refused(text)


@settings(FUZZ, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_mutated_preset_is_read_or_refused(seed: int, mutations: int) -> None:
    draw = random.Random(seed)
    text = PRESET_TEXT
    for _ in range(mutations):
        start = draw.randrange(len(text))
        end = min(len(text), start + draw.choice([0, 1, 3, 10]))
        text = text[:start] + draw.choice(["", "\n", ":", "-", "[", "0", "\t", "é", *PRESET_WORDS]) + text[end:]
    assert_read_or_refused(text)


@FUZZ
@given(TREES)
def test_random_trees_are_read_or_refused(tree: object) -> None:
    stream = io.StringIO()
    try:
        YAML(typ="safe", pure=True).dump(tree, stream)
    except Exception:  # not every string has a YAML form
        return
    assert_read_or_refused(stream.getvalue())


@FUZZ
@given(st.sampled_from(["pe_grid", "pe_grid.rows", "pe_grid.precision", "memory", "memory.buffers", "dram", "energy",
                        "energy.sram", "unconfirmed", "schema_version", "dma", "nothing", ""]), TREES)
def test_preset_with_a_random_part_is_made_or_refused(path: str, tree: object) -> None:
    message = refusal(lambda: with_changes(EDGE, {path: tree}))
    assert message is None or message.isprintable()
