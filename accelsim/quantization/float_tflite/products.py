"""TFLite's matrix products."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from accelsim.quantization.float_tflite.conversion import Conversion
from accelsim.workload.tflite.graph import ABSENT, TfliteOperator
from accelsim.workload.tflite.schema import DEFAULT_WEIGHTS
from accelsim.workload.tflite.translation import NotSimulated


def _fully_connected(operator: TfliteOperator, conversion: Conversion) -> None:
    """FULLY_CONNECTED: weights (n, k); everything before the input's last k elements are rows."""
    translation, (source, number) = conversion.translation, operator.inputs[:2]
    if operator.options["weights_format"] != DEFAULT_WEIGHTS:
        raise NotSimulated("weights in another than their plain order")
    n, k = conversion.shape(number)
    shape, out = conversion.shape(source), conversion.shape(operator.outputs[0])
    rows = prod(shape) // k
    read = conversion.plain(source)
    if shape != (rows, k):
        sizes = conversion.constant(f"{operator.label}_rows", (rows, k))
        read = conversion.put("Reshape", f"{operator.label}_rows", (read, sizes), conversion.between(operator, "rows"))
    addend = () if operator.input(2) == ABSENT else (conversion.plain(operator.inputs[2]),)
    inputs, fused = (read, conversion.plain(number), *addend), translation.fused(operator)
    if out == (rows, n):
        conversion.put_result(operator, "Gemm", inputs, is_image=False, fused=fused, transB=1)
        return
    product = conversion.put("Gemm", f"{operator.label}_product", inputs, conversion.between(operator, "product"), transB=1)
    sizes = conversion.constant(f"{operator.label}_sizes", out)
    conversion.put_result(operator, "Reshape", (product, sizes), is_image=False, fused=fused)


def _batch_matmul(operator: TfliteOperator, conversion: Conversion) -> None:
    """BATCH_MATMUL, either operand as it is or transposed."""
    read = []
    for place, option in enumerate(("adj_x", "adj_y")):
        number = operator.inputs[place]
        name, rank = conversion.plain(number), len(conversion.shape(number))
        if operator.options[option]:
            order = (*range(rank - 2), rank - 1, rank - 2)
            name = conversion.put("Transpose", f"{operator.label}_{option}", (name,),
                                  conversion.between(operator, option), perm=order)
        read.append(name)
    conversion.put_result(operator, "MatMul", read, is_image=False)


CONVERTERS: dict[str, Callable[[TfliteOperator, Conversion], None]] = {
    "FULLY_CONNECTED": _fully_connected, "BATCH_MATMUL": _batch_matmul}
