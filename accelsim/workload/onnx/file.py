"""Reading an ONNX file: bytes to a `ModelProto`, or one line that says why not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.errors import WorkloadError
from accelsim.source_file import read_bytes

if TYPE_CHECKING:
    from onnx import ModelProto

# Source: protobuf, "Encoding": a serialized message is at most 2 GiB. Larger models keep their weights
# outside.
LARGEST_FILE_BYTES = 2**31 - 1


def read_model(path: Path) -> ModelProto:
    """An ONNX model without the weights that it keeps in other files.

    Raises
    ------
    WorkloadError : the file cannot be read, or does not hold an ONNX model with at least one node.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    content = read_bytes(path, raises=WorkloadError)
    if len(content) > LARGEST_FILE_BYTES:
        raise WorkloadError("expected a file of at most 2 GiB (save the weights as external data)", file=str(path))
    try:
        model: ModelProto = onnx.ModelProto.FromString(content)
    except (DecodeError, ValueError):
        raise WorkloadError("not an ONNX model, or a truncated one", file=str(path)) from None
    if not model.HasField("graph") or not model.opset_import:
        raise WorkloadError("not an ONNX model, or a truncated one", file=str(path))
    if not model.graph.node:
        raise WorkloadError("expected a graph with at least one node, got an empty graph", file=str(path))
    return model
