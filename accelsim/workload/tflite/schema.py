"""TFLite's operators, element types and options by the numbers that stand in a file.

Source of everything here: tensorflow/tensorflow `tensorflow/lite/schema/schema.fbs` (version 3): enum BuiltinOperator, enum
TensorType, union BuiltinOptions, the tables of that union.
"""

from __future__ import annotations

from typing import NamedTuple

# In the order of their numbers, from 0.
_OPERATORS = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM
MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN
EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2
GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG
SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT
UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU
SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE
MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5
SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO
RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE
RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX
UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD
STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE
STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE
STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH
STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE
STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE
STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE
STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
"""

#: Names of operators in the order of their numbers, from 0.
OPERATORS = tuple(_OPERATORS.split())


class ElementType(NamedTuple):
    """A type of tensors: its name, its width, and whether its numbers are floating-point."""

    name: str
    bits: int
    is_float: bool = False


#: In the order of their numbers, from 0.
ELEMENT_TYPES = (
    ElementType("float32", 32, True), ElementType("float16", 16, True), ElementType("int32", 32), ElementType("uint8", 8),
    ElementType("int64", 64), ElementType("string", 8), ElementType("bool", 8), ElementType("int16", 16),
    ElementType("complex64", 64, True), ElementType("int8", 8), ElementType("float64", 64, True),
    ElementType("complex128", 64, True), ElementType("uint64", 64), ElementType("resource", 32),
    ElementType("variant", 32), ElementType("uint32", 32), ElementType("uint16", 16), ElementType("int4", 4),
    ElementType("bfloat16", 16, True), ElementType("int2", 2), ElementType("uint4", 4),
    ElementType("float8_e4m3fn", 8, True), ElementType("float8_e5m2", 8, True),
)

#: Name of an option -> number of its field, kind of number, default.
Fields = dict[str, tuple[int, str, float]]

_ACTIVATION: Fields = {"activation": (0, "int8", 0)}
_CONVOLUTION: Fields = {"padding": (0, "int8", 0), "stride_w": (1, "int32", 0), "stride_h": (2, "int32", 0)}
_POOLING: Fields = {**_CONVOLUTION, "filter_w": (3, "int32", 0), "filter_h": (4, "int32", 0), "activation": (5, "int8", 0)}
_REDUCTION: Fields = {"keep_dims": (0, "bool", False)}
_SIZES: Fields = {"align_corners": (0, "bool", False), "half_pixel_centers": (1, "bool", False)}

#: Operator -> number of its options in the union, and their fields.
OPTIONS: dict[str, tuple[int, Fields]] = {
    "CONV_2D": (1, {**_CONVOLUTION, "activation": (3, "int8", 0), "dilation_w": (4, "int32", 1),
                    "dilation_h": (5, "int32", 1), "bias_type": (6, "int8", 0)}),
    "DEPTHWISE_CONV_2D": (2, {**_CONVOLUTION, "activation": (4, "int8", 0), "dilation_w": (5, "int32", 1),
                              "dilation_h": (6, "int32", 1)}),
    "TRANSPOSE_CONV": (49, {**_CONVOLUTION, "activation": (3, "int8", 0), "bias_type": (4, "int8", 0)}),
    "FULLY_CONNECTED": (8, {**_ACTIVATION, "weights_format": (1, "int8", 0), "keep_num_dims": (2, "bool", False),
                            "bias_type": (4, "int8", 0)}),
    "BATCH_MATMUL": (101, {"adj_x": (0, "bool", False), "adj_y": (1, "bool", False)}),
    "ADD": (11, {**_ACTIVATION, "pot_scale_int16": (1, "bool", True)}),
    "SUB": (28, {**_ACTIVATION, "pot_scale_int16": (1, "bool", True)}),
    "MUL": (21, _ACTIVATION),
    "DIV": (29, _ACTIVATION),
    "L2_NORMALIZATION": (12, _ACTIVATION),
    "AVERAGE_POOL_2D": (5, _POOLING),
    "MAX_POOL_2D": (5, _POOLING),
    "L2_POOL_2D": (5, _POOLING),
    "MEAN": (27, _REDUCTION),
    "SUM": (27, _REDUCTION),
    "REDUCE_MAX": (27, _REDUCTION),
    "REDUCE_MIN": (27, _REDUCTION),
    "REDUCE_PROD": (27, _REDUCTION),
    "SOFTMAX": (9, {"beta": (0, "float32", 0.0)}),
    "LEAKY_RELU": (75, {"alpha": (0, "float32", 0.0)}),
    "GELU": (116, {"approximate": (0, "bool", False)}),
    "LOCAL_RESPONSE_NORMALIZATION": (13, {"radius": (0, "int32", 0)}),
    "CONCATENATION": (10, {"axis": (0, "int32", 0), "activation": (1, "int8", 0)}),
    "MIRROR_PAD": (77, {"mode": (0, "int8", 0)}),
    "STRIDED_SLICE": (32, {"begin_mask": (0, "int32", 0), "end_mask": (1, "int32", 0), "ellipsis_mask": (2, "int32", 0),
                           "new_axis_mask": (3, "int32", 0), "shrink_axis_mask": (4, "int32", 0),
                           "offset": (5, "bool", False)}),
    "SPLIT": (35, {"num_splits": (0, "int32", 0)}),
    "SPLIT_V": (79, {"num_splits": (0, "int32", 0)}),
    "UNPACK": (64, {"num": (0, "int32", 0), "axis": (1, "int32", 0)}),
    "PACK": (59, {"values_count": (0, "int32", 0), "axis": (1, "int32", 0)}),
    "GATHER": (23, {"axis": (0, "int32", 0), "batch_dims": (1, "int32", 0)}),
    "RESIZE_NEAREST_NEIGHBOR": (74, _SIZES),
    "RESIZE_BILINEAR": (15, {"align_corners": (2, "bool", False), "half_pixel_centers": (3, "bool", False)}),
    "DEPTH_TO_SPACE": (94, {"block_size": (0, "int32", 0)}),
    "SPACE_TO_DEPTH": (19, {"block_size": (0, "int32", 0)}),
}

#: Value of an option `activation` -> name of the activation, "" for none.
ACTIVATIONS = ("", "relu", "relu_n1_to_1", "relu6", "tanh", "sign_bit")

#: Value of an option `padding`.
SAME, VALID = 0, 1

#: Of FULLY_CONNECTED: weights in their plain order.
DEFAULT_WEIGHTS = 0
