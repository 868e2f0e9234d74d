"""Weights that are codes in memory: ONNX stores the integers that the codes stand for, the metadata tell the codes' width.

The entry ``accelsim.codes`` names the constant of integers and, in JSON, what a code is: ``{"fc_w_quantized": {"bits": 2,
"kind": "codebook", "vector_length": 4}}``. `bits` is the width of one weight in memory, which is what is simulated: an
index of 8 bits that stands for 4 weights has 2 for each. `kind` and `vector_length` tell a reader which PEs take the codes.
Whether a machine's PEs hold the integers is checked where they run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import WorkloadError
from accelsim.problem import quoted
from accelsim.workload.onnx.metadata_table import metadata_table

if TYPE_CHECKING:
    from onnx import ModelProto

#: The metadata's entry.
KEY = "accelsim.codes"

_WIDEST = 16


def code_metadata(codes: Mapping[str, Mapping[str, Any]]) -> str:
    """The metadata's entry for what each constant's codes are.

    >>> code_metadata({"w": {"bits": 1, "kind": "binary"}})
    '{"w": {"bits": 1, "kind": "binary"}}'
    """
    return json.dumps({name: dict(code) for name, code in codes.items()})


def code_widths(model: ModelProto, path: Path) -> dict[str, int]:
    """Widths in memory by the names of constants; none where the model says nothing.

    Raises
    ------
    WorkloadError : metadata that are no such table.
    """
    document = metadata_table(model, KEY, "constants and codes", path)
    return {name: _width(code, name, path) for name, code in document.items()}


def _width(code: object, name: str, path: Path) -> int:
    bits = code.get("bits") if isinstance(code, dict) else None
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= _WIDEST:
        raise WorkloadError(f"expected a code of 1 to {_WIDEST} bits such as {{\"bits\": 4}}, got {quoted(code)}",
                            file=str(path), field=f"{KEY}: {name}")
    return bits
