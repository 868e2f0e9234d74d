"""The numbers of an ONNX tensor, checked against what the file promises: count, place, range of the type."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.workload.onnx.encoding import integer_bits, is_signed

if TYPE_CHECKING:
    from onnx import TensorProto

# Source: onnx.proto3, TensorProto: int32_data holds one integer an element for the types of 8 and 16 bits.
_STORED_IN_INT32 = (8, 16)


def numbers(tensor: TensorProto, file: Path) -> NDArray[Any]:
    """The numbers of a tensor; integers of less than 8 bits in int8 or uint8.

    Raises
    ------
    WorkloadError : values that are missing, too few, outside their type, or of a type without numbers.
    """
    from onnx import external_data_helper, numpy_helper

    width = _width(tensor, file)
    size = -(-prod(tensor.dims) * width // 8)
    if external_data_helper.uses_external_data(tensor):
        tensor = _with_external_data(tensor, size, file)
    if tensor.HasField("raw_data"):
        _require_bytes(len(tensor.raw_data), size, file, tensor.name)
    elif width in _STORED_IN_INT32:
        _require_range(tensor, width, file)
    try:
        found = numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        raise WorkloadError(f"expected the numbers of a tensor of shape {list(tensor.dims)}: {error}", file=str(file),
                            field=tensor.name) from None
    if integer_bits(tensor.data_type) and width < 8:
        found = found.astype(np.int8 if is_signed(tensor.data_type) else np.uint8)
    return np.asarray(found)


def _width(tensor: TensorProto, file: Path) -> int:
    """Bits of one element."""
    from onnx import helper

    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except (KeyError, ValueError):
        dtype = np.dtype(object)
    if dtype.hasobject:
        raise WorkloadError(f"expected a tensor of numbers, got the type {type_name(tensor.data_type)}", file=str(file),
                            field=tensor.name)
    return integer_bits(tensor.data_type) or 8 * dtype.itemsize


def type_name(element_type: int) -> str:
    """ONNX's name of an element type, in small letters."""
    from onnx import TensorProto

    known = TensorProto.DataType.values()
    return str(TensorProto.DataType.Name(element_type)).lower() if element_type in known else str(element_type)


def _with_external_data(tensor: TensorProto, size: int, file: Path) -> TensorProto:
    """A copy of the tensor with its numbers; the model's own stays as light as it was."""
    from onnx import TensorProto, external_data_helper

    try:
        place = external_data_helper.ExternalDataInfo(tensor)
    except (ValueError, TypeError) as error:
        raise WorkloadError(f"expected external data with a place and a length: {error}", file=str(file),
                            field=tensor.name) from None
    source = (file.parent / place.location).resolve()
    if not source.is_relative_to(file.parent.resolve()):
        raise WorkloadError(f'expected external data in the folder of the model, got "{place.location}"', file=str(file),
                            field=tensor.name)
    if not source.is_file():
        raise WorkloadError(f'expected its values in the file "{place.location}" beside the model, found none of that name',
                            file=str(file), field=tensor.name)
    if place.length:
        _require_bytes(place.length, size, file, tensor.name)
    with source.open("rb") as stream:
        stream.seek(place.offset or 0)
        content = stream.read(size)
    copy = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    copy.raw_data = content
    return copy


def _require_bytes(found: int, size: int, file: Path, field: str) -> None:
    if found != size:
        raise WorkloadError(f"expected {size} bytes of values, got {max(found, 0)}", file=str(file), field=field)


def _require_range(tensor: TensorProto, width: int, file: Path) -> None:
    """Integers that are stored wider than their type."""
    if not integer_bits(tensor.data_type) or not tensor.int32_data:
        return
    stored = np.asarray(tensor.int32_data)
    half = 1 << (width - 1)
    low, high = (-half, half - 1) if is_signed(tensor.data_type) else (0, 2 * half - 1)
    wrong = stored[(stored < low) | (stored > high)]
    if wrong.size:
        raise WorkloadError(f"expected {low}..{high} ({type_name(tensor.data_type)}), got {wrong[0]}", file=str(file),
                            field=tensor.name)
