"""The JSON schema says what the loader reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from accelsim.hardware import json_schema, preset_names, preset_path

SCHEMA = json_schema()


def objects(schema: Any) -> list[dict[str, Any]]:
    found = [part for value in schema.values() for part in objects(value)] if isinstance(schema, dict) else []
    return [schema, *found] if isinstance(schema, dict) and "properties" in schema else found


def test_schema_is_json_of_draft_2020_12_and_refuses_unknown_keys() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    parts = [part for part in objects(SCHEMA) if part.get("type") == "object"]
    assert len(parts) >= 12
    assert all(part["additionalProperties"] is False for part in parts)


def test_every_field_has_its_sentence() -> None:
    fields = {f"{part['title']}.{name}": field for part in objects(SCHEMA) for name, field in part["properties"].items()
              if "title" in part}
    assert [name for name, field in fields.items() if not field.get("description")] == []


def test_defaults_are_written_as_in_the_yaml() -> None:
    assert SCHEMA["$defs"]["Dram"]["properties"]["read_latency"]["default"] == "0 cycles"
    assert SCHEMA["$defs"]["Dma"]["properties"]["burst"]["default"] == "64 B"


@pytest.mark.parametrize("name", preset_names())
def test_schema_accepts_every_preset(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="the jsonschema package is not installed")
    document = YAML(typ="safe", pure=True).load(preset_path(name).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
