"""Integers as ONNX stores them: in their own type where ONNX has it, else in the next wider one; activations in 8 bits
at least.

Integers of 2 bits are stored in 4: ONNX has a type for them since operator set 25, but the default session of onnxruntime
1.31 makes a QLinearConv of a convolution with such weights, which it then refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.numerics.qtype import QType

if TYPE_CHECKING:
    from onnx import TensorProto

# Source: onnx.proto3, TensorProto.DataType: uint4 and int4, uint8 and int8, uint16 and int16, int32.
_ELEMENT_TYPES = {(4, False): 21, (4, True): 22, (8, False): 2, (8, True): 3, (16, False): 4, (16, True): 5, (32, True): 6}


def stored_type(qtype: QType) -> QType:
    """The narrowest type that holds a type.

    >>> stored_type(QType(6, False)).name, stored_type(QType(3, True)).name, stored_type(QType(16, True)).name
    ('uint8', 'int4', 'int16')
    """
    return QType(next(bits for bits in (4, 8, 16, 32) if qtype.bits <= bits), qtype.is_signed)


def activation_type(qtype: QType) -> QType:
    """The type that holds activations: of 8 bits at least, also for those of 4, which ONNX has.

    The default session of onnxruntime 1.31 refuses a Clip before a QuantizeLinear to 4 bits, and drops a ReLU there whose
    work the zero point does not do.

    >>> activation_type(QType(4, False)).name, activation_type(QType(12, True)).name
    ('uint8', 'int16')
    """
    stored = stored_type(qtype)
    return QType(max(stored.bits, 8), stored.is_signed)


def element_type(qtype: QType) -> int:
    """ONNX's number of the type that holds a type."""
    stored = stored_type(qtype)
    return _ELEMENT_TYPES[stored.bits, stored.is_signed]


def integer_tensor(name: str, integers: ArrayLike, qtype: QType) -> TensorProto:
    """A constant of integers."""
    from onnx import helper, numpy_helper

    kind = helper.tensor_dtype_to_np_dtype(element_type(qtype))
    return numpy_helper.from_array(np.asarray(integers).astype(kind), name)


def real_tensor(name: str, values: ArrayLike) -> TensorProto:
    """A constant of float32 numbers."""
    from onnx import numpy_helper

    array: NDArray[Any] = np.asarray(values, np.float32)
    return numpy_helper.from_array(array, name)
