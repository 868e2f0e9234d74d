"""``accelsim schema``: the YAML format for editors."""

from __future__ import annotations

from accelsim.cli.output import print_json


def schema() -> None:
    """Print the JSON schema of accelerator descriptions."""
    from accelsim.hardware.schema import json_schema

    print_json(json_schema())
