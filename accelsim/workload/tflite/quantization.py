"""What the integers of a TFLite tensor mean: types, scales, zero points, the ranges of fused activations.

Source: tensorflow/tensorflow `tensorflow/lite/g3doc/performance/quantization_spec.md`; LiteRT's own checks are those of
google-ai-edge/LiteRT `tflite/core/interpreter_builder.cc` (ParseQuantization) and `tflite/kernels/*.cc` (Prepare).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.workload.tflite.graph import TfliteTensor

#: Element types of quantized activations.
ACTIVATION_TYPES = {"int8": QType(8, True), "uint8": QType(8, False), "int16": QType(16, True)}

#: Element types of quantized weights.
WEIGHT_TYPES = {**ACTIVATION_TYPES, "int4": QType(4, True), "uint4": QType(4, False), "int2": QType(2, True)}

_PLAIN = {"int8": np.int8, "uint8": np.uint8, "int16": np.int16, "int32": np.int32, "int64": np.int64}


def activation_parameters(tensor: TfliteTensor) -> QParams:
    """Scale, zero point and type of an activation, or of a constant in an activation's place.

    Raises
    ------
    WorkloadError : real numbers or integers of another type, no scale or several; TFLite's int16 with a zero point.
    NumericsError : a scale that is NaN, infinite or not above 0, a zero point outside the type.
    """
    parameters = _parameters(tensor, ACTIVATION_TYPES)
    if parameters.axis is not None:
        raise _error(tensor, f"expected one scale for an activation, got {parameters.scale.size}")
    if parameters.qtype.bits == 16 and int(parameters.zero_point) != 0:
        raise _error(tensor, f"expected the zero point 0 for int16, got {int(parameters.zero_point)}")
    return parameters


def weight_parameters(tensor: TfliteTensor, *, channels: int, dimension: int, is_symmetric: bool) -> QParams:
    """Of weights, per tensor or with one scale an output channel.

    Parameters
    ----------
    channels, dimension : how many output channels there are and where they lie.
    is_symmetric : whether the operator takes only the zero point 0.

    Raises
    ------
    WorkloadError, NumericsError : as `activation_parameters`; scales along another dimension.
    """
    found = _parameters(tensor, WEIGHT_TYPES)
    if found.axis is not None and (found.axis != dimension or found.scale.size != channels):
        raise _error(tensor, f"expected one scale, or {channels} along dimension {dimension}, got {found.scale.size} along "
                             f"dimension {found.axis}")
    if np.any(found.zero_point != 0) and (is_symmetric or found.axis is not None):
        wrong = found.zero_point[found.zero_point != 0].flat[0]
        raise _error(tensor, f"expected weights with the zero point 0, got {wrong}")
    if found.axis is None:
        return found
    return QParams(scale=found.scale, zero_point=found.zero_point, qtype=found.qtype, axis=0)


def _parameters(tensor: TfliteTensor, types: dict[str, QType]) -> QParams:
    if tensor.type.name not in types:
        raise _error(tensor, f"expected one of {', '.join(types)}, got {tensor.type.name}")
    if tensor.obstacle:
        raise _error(tensor, f"expected plain integers, got a tensor that {tensor.obstacle}")
    if tensor.scales is None or tensor.zero_points is None or not tensor.scales.size:
        raise _error(tensor, "expected a scale and a zero point, got none")
    points = tensor.zero_points
    with np.errstate(invalid="ignore"):
        # A signalling NaN warns here; `QParams` refuses it.
        scales = tensor.scales.astype(np.float64)
    if points.size != scales.size:
        raise _error(tensor, f"expected as many zero points as scales, {scales.size}, got {points.size}")
    qtype, axis = types[tensor.type.name], tensor.quantized_dimension
    if scales.size == 1:
        return QParams(scale=float(scales[0]), zero_point=int(points[0]), qtype=qtype)
    if not 0 <= axis < len(tensor.shape) or scales.size != tensor.shape[axis]:
        size = tensor.shape[axis] if 0 <= axis < len(tensor.shape) else "no such dimension"
        raise _error(tensor, f"expected one scale an index of dimension {axis} ({size}), got {scales.size}")
    return QParams(scale=scales, zero_point=points, qtype=qtype, axis=axis)


def integers_of(tensor: TfliteTensor) -> NDArray[Any]:
    """The integers of a constant in its shape; those below a byte are unpacked, the first in the lowest bits.

    Raises
    ------
    WorkloadError : no plain integers, or other bytes than the shape needs.
    """
    count, bits = prod(tensor.shape), tensor.type.bits
    if tensor.obstacle or (tensor.type.name not in _PLAIN and tensor.type.name not in WEIGHT_TYPES):
        found = f"a tensor that {tensor.obstacle}" if tensor.obstacle else tensor.type.name
        raise _error(tensor, f"expected plain integers, got {found}")
    data = tensor.data if tensor.data is not None else np.zeros(0, np.uint8)
    if data.size != -(-count * bits // 8):
        raise _error(tensor, f"expected {-(-count * bits // 8)} bytes for the shape {list(tensor.shape)}, got {data.size}")
    if bits >= 8:
        return data.view(np.dtype(_PLAIN[tensor.type.name]).newbyteorder("<")).reshape(tensor.shape)
    # Source: google-ai-edge/LiteRT `tflite/kernels/internal/portable_tensor_utils.cc`, UnpackPackedIntToInt8.
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    fields = ((data[:, None] >> shifts) & (2**bits - 1)).reshape(-1)[:count].astype(np.int64)
    qtype = WEIGHT_TYPES[tensor.type.name]
    signed = fields - ((fields >> (bits - 1)) << bits) if qtype.is_signed else fields
    return np.asarray(signed.reshape(tensor.shape), dtype=qtype.dtype)


def activation_range(activation: str, output: QParams) -> tuple[int, int]:
    """Smallest and largest integer that a fused activation leaves: ``q(f) = zero_point + round_half_away(f / scale)``.

    The quotient is a float32. Source: google-ai-edge/LiteRT `tflite/kernels/kernel_util.cc`,
    CalculateActivationRangeQuantized.

    Examples
    --------
    >>> y = QParams(scale=0.05, zero_point=-28, qtype=QType(8, True))
    >>> [activation_range(name, y) for name in ("", "relu", "relu6", "relu_n1_to_1")]
    [(-128, 127), (-28, 127), (-28, 92), (-48, -8)]
    """
    low, high = {"": (None, None), "relu": (0.0, None), "relu6": (0.0, 6.0), "relu_n1_to_1": (-1.0, 1.0)}[activation]
    smallest = output.qtype.min if low is None else max(output.qtype.min, _quantized(low, output))
    largest = output.qtype.max if high is None else min(output.qtype.max, _quantized(high, output))
    return smallest, largest


def _quantized(real: float, output: QParams) -> int:
    with np.errstate(over="ignore"):
        quotient = float(np.float32(real) / np.float32(output.scale))
    if not abs(quotient) < 2**31:
        raise WorkloadError(f"expected a scale under which {real:g} fits 32 bits, got {float(output.scale):g}")
    away = int(np.floor(abs(quotient) + 0.5))
    return int(output.zero_point) + (away if quotient >= 0 else -away)


def _error(tensor: TfliteTensor, problem: str) -> WorkloadError:
    return WorkloadError(problem, field=f'tensor "{tensor.name}"')
