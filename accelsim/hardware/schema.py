"""The YAML format as JSON schema, for editors and other programs."""

from __future__ import annotations

from typing import Any

from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.presets import energy_table_names


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of an accelerator description.

    The sentence below each field of the models is its description. Cross-field rules and the grammar of quantities are
    left to `load_accelerator`.

    Examples
    --------
    >>> schema = json_schema()
    >>> schema["properties"]["clock"]["description"]
    'Frequency of everything on the chip ("800 MHz").'
    >>> schema["properties"]["energy"]["anyOf"][0]["enum"]
    ['eyeriss_relative', 'horowitz_45nm', 'jouppi_7nm']
    """
    schema = Accelerator.model_json_schema(by_alias=True)
    table = schema["properties"]["energy"]
    schema["properties"]["energy"] = {
        "anyOf": [{"type": "string", "enum": list(energy_table_names())}, {"$ref": table["$ref"]}],
        "description": table["description"],
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
