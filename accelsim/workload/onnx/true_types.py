"""Integers whose type ONNX does not have: they ride in the next wider one, and the model's metadata say what they are.

ONNX has integers of 2, 4, 8 and 16 bits. A tensor of 6 bits is stored as one of 8; the entry ``accelsim.integers`` of the
metadata names its zero point and its type, in JSON: ``{"conv1_zero_point": "uint6", "fc_weights_zero_point": "int8
restricted"}``. What quantizes such a tensor has a Clip before it, so that every runtime gives integers of that range; the
Clip is no operator of the network and is left out when the model is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import NumericsError, WorkloadError
from accelsim.numerics.qtype import QType
from accelsim.problem import quoted
from accelsim.workload.onnx.metadata_table import metadata_table

if TYPE_CHECKING:
    from onnx import ModelProto

#: The metadata's entry.
KEY = "accelsim.integers"

_TYPE = re.compile(r"(u?)int([0-9]{1,2})( restricted)?")


def type_text(qtype: QType) -> str:
    """A type as the metadata write it.

    >>> type_text(QType(6, False)), type_text(QType(8, True, is_restricted=True))
    ('uint6', 'int8 restricted')
    """
    return qtype.name + (" restricted" if qtype.is_restricted else "")


def parse_type(text: object) -> QType | None:
    """The type of that text; None if it is none.

    >>> parse_type("int8 restricted"), parse_type("int0")
    (QType(bits=8, is_signed=True, is_restricted=True), None)
    """
    match = _TYPE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    try:
        return QType(int(match[2]), not match[1], is_restricted=bool(match[3]))
    except NumericsError:
        return None


def metadata_of(types: Mapping[str, QType]) -> str:
    """The metadata's entry for these types by the names of zero points.

    >>> metadata_of({"z": QType(3, True)})
    '{"z": "int3"}'
    """
    return json.dumps({name: type_text(qtype) for name, qtype in types.items()})


def true_types(model: ModelProto, path: Path) -> dict[str, QType]:
    """Types by the names of zero points; none where the model says nothing.

    Raises
    ------
    WorkloadError : metadata that are no such table.
    """
    document = metadata_table(model, KEY, "zero points and types", path)
    found = {}
    for name, stated in document.items():
        qtype = parse_type(stated)
        if qtype is None:
            raise WorkloadError(f"expected a type such as uint6 or int8 restricted, got {quoted(stated)}", file=str(path),
                                field=f"{KEY}: {name}")
        found[name] = qtype
    return found


def clip_bounds(scale: float, zero_point: int, qtype: QType) -> tuple[np.float32, np.float32]:
    """What the Clip before such a tensor limits real numbers to: the ends of its grid, each one product in float32.

    >>> clip_bounds(0.5, 3, QType(3, False))
    (np.float32(-1.5), np.float32(2.0))
    """
    low, high = (np.float32(scale) * np.float32(end - zero_point) for end in (qtype.min, qtype.max))
    return np.float32(low), np.float32(high)
