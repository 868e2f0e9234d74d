"""Tables that accelsim writes into a model's metadata, as JSON: what ONNX itself has no place for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import WorkloadError
from accelsim.problem import quoted

if TYPE_CHECKING:
    from onnx import ModelProto


def metadata_table(model: ModelProto, key: str, what: str, path: Path) -> dict[str, Any]:
    """The table under a key; an empty one where the model says nothing.

    Parameters
    ----------
    what : it is a table of, for messages.
    path : the model's file, for messages.

    Raises
    ------
    WorkloadError : metadata that are no such table.
    """
    text = next((entry.value for entry in model.metadata_props if entry.key == key), None)
    if text is None:
        return {}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise WorkloadError(f"expected a table of {what} in JSON, got {quoted(text)}", file=str(path), field=key)
    return document
