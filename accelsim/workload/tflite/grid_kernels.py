"""Grid kernels of TFLite's operators: weights, biases, scales, ranges, and the rule under which LiteRT requantizes them.

What LiteRT's reference kernels compute the effective scale in was measured on LiteRT 2.3 with scales where the candidates
differ, and agrees with its source, google-ai-edge/LiteRT `tflite/kernels/kernel_util.cc`
(PopulateConvolutionQuantizationParams, GetQuantizedConvolutionMultipler) and
`tflite/kernels/internal/reference/integer_ops/fully_connected.h`:

===============================================  =====================  ========================================
operator                                         effective scale        rounding
===============================================  =====================  ========================================
CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV int8  float64                tflite_double
the same, uint8                                  float32 product        tflite_double
the same, int16 with int64 biases                float64                tflite_int16x8
CONV_2D, TRANSPOSE_CONV int16 with int32 biases  float64                tflite_double
FULLY_CONNECTED of every type                    float64                ``round_half_away(double(acc) * s)``
BATCH_MATMUL int8                                float32 product        tflite_double
BATCH_MATMUL int16                               float32 product        tflite_int16x8
===============================================  =====================  ========================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.numerics.arrangement import Arrangement
from accelsim.numerics.effective_scale import Arithmetic
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.qparams import QParams
from accelsim.numerics.rule_names import SchemeName
from accelsim.numerics.scheme import Operator
from accelsim.workload.tensor import Tensor
from accelsim.workload.tflite.graph import ABSENT, TfliteOperator, TfliteTensor
from accelsim.workload.tflite.quantization import activation_range, weight_parameters
from accelsim.workload.tflite.translation import NotSimulated, Translation

# Source: the same Prepare functions. Type of the activations -> types of the weights.
_WEIGHTS_OF = {"int8": ("int8", "int4", "int2"), "uint8": ("uint8",), "int16": ("int8", "int4", "int2")}
_BIASES_OF = {"int8": ("int32",), "uint8": ("int32",), "int16": ("int64", "int32")}

# Numbers of element types in the option `bias_type`; 0 leaves the choice to the operator.
_BIAS_TYPES = {0: "", 2: "int32", 4: "int64"}


def bias_of(operator: TfliteOperator, translation: Translation, number: int, channels: int) -> Tensor | None:
    """The biases as a layer's tensor.

    Raises
    ------
    NotSimulated : they are computed.
    WorkloadError : not one a channel.
    """
    if number == ABSENT:
        return None
    if not translation.is_constant(number):
        raise NotSimulated("an operator whose biases are computed")
    if translation.shape(number) not in ((channels,), (1, channels), (1, 1, 1, channels)):
        raise translation.error(f"expected one bias an output channel, [{channels}], got {list(translation.shape(number))}",
                                operator)
    return translation.bias(number, channels)


def constant_kernel(operator: TfliteOperator, translation: Translation, source: int, number: int, addend: int,
                    arranged: Callable[[NDArray[Any]], NDArray[Any]], *, kind: Operator, fused: str, dimension: int,
                    channels_last: bool = False,
                    streamed: Arrangement | None = None, written: Arrangement | None = None) -> GridKernel:
    """The kernel of an operator with constant weights.

    Parameters
    ----------
    source, number, addend : the model's numbers of input, weights and biases.
    arranged : puts the model's weights as (groups, N, K).
    dimension : of the model's weights, along which output channels lie.

    Raises
    ------
    WorkloadError, NumericsError : types, scales or zero points that TFLite does not combine.
    """
    x, y = translation.parameters(source), translation.parameters(operator.outputs[0])
    if y.qtype != x.qtype:
        raise WorkloadError(f"expected an output of the input's type {x.qtype.name}, got {y.qtype.name}")
    is_symmetric = x.qtype.is_signed and kind != "fully_connected"
    require_type(translation.tensor(number), _WEIGHTS_OF[x.qtype.name])
    weights = np.ascontiguousarray(arranged(translation.integers(number)))
    weight = weight_parameters(translation.tensor(number), channels=weights.shape[0] * weights.shape[1], dimension=dimension,
                               is_symmetric=is_symmetric)
    arithmetic: Arithmetic | None = None if x.qtype.is_signed or kind == "fully_connected" else "float32_product"
    low, high = activation_range(fused, y)
    return GridKernel(
        weights=weights, bias=_biases(translation, addend, x), input=x, weight=weight, output=y, clamp_min=low,
        clamp_max=high, operator=kind, arithmetic=arithmetic, channels_last=channels_last, streamed=streamed,
        written=written)


def product_kernel(operator: TfliteOperator, translation: Translation, source: int, number: int, *, kind: Operator,
                   fused: str, arithmetic: Arithmetic | None, weights: NDArray[Any] | None, streamed: Arrangement,
                   stationary: Arrangement, written: Arrangement) -> GridKernel:
    """The kernel of a matrix product of two activations, or of an activation and a constant that has its type.

    Parameters
    ----------
    source, number : the model's numbers of the operand that streams and the one that plays the weights.
    weights : the latter's integers as (batch, n, k), None if it is an activation.
    """
    x, weight, y = (translation.parameters(tensor) for tensor in (source, number, operator.outputs[0]))
    left, right = (translation.tensor(tensor).type.name for tensor in operator.inputs[:2])
    if left != y.qtype.name or right not in (left, "int8"):
        raise WorkloadError(f"expected operands of the output's type {y.qtype.name}, got {left} and {right}")
    low, high = activation_range(fused, y)
    return GridKernel(
        weights=weights, bias=None, input=x, weight=weight, output=y, clamp_min=low, clamp_max=high, operator=kind,
        arithmetic=arithmetic, streamed=streamed, stationary=stationary, written=written)


def require_type(tensor: TfliteTensor, types: tuple[str, ...]) -> None:
    if tensor.type.name not in types:
        raise WorkloadError(f"expected {' or '.join(types)}, got {tensor.type.name}", field=f'tensor "{tensor.name}"')


def _biases(translation: Translation, number: int, x: QParams) -> NDArray[Any] | None:
    if number == ABSENT:
        return None
    tensor = translation.tensor(number)
    require_type(tensor, _BIASES_OF[x.qtype.name])
    if tensor.zero_points is not None and np.any(tensor.zero_points != 0):
        raise WorkloadError(f"expected biases with the zero point 0, got {tensor.zero_points[tensor.zero_points != 0][0]}",
                            field=f'tensor "{tensor.name}"')
    return translation.integers(number).reshape(-1)


def rule_of(operator: TfliteOperator, translation: Translation) -> SchemeName | None:
    """The rule under which LiteRT requantizes the operator's accumulators; None where every rule means the same to it.

    int16 activations with 64-bit accumulators, which biases of that width or none ask for, have a rule of their own.
    """
    source = operator.inputs[2 if operator.op == "TRANSPOSE_CONV" else 0]
    if operator.op == "FULLY_CONNECTED":
        return None
    if translation.tensor(source).type.name != "int16":
        return "litert_reference"
    addend = operator.input(3 if operator.op == "TRANSPOSE_CONV" else 2)
    stated = _BIAS_TYPES.get(operator.options.get("bias_type", 0), "")
    found = translation.tensor(addend).type.name if addend != ABSENT else stated
    return "litert_reference" if found == "int32" and operator.op != "DEPTHWISE_CONV_2D" else "tflite_int16x8"
