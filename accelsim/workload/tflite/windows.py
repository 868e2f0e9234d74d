"""The windows of TFLite's convolutions and poolings."""

from __future__ import annotations

from accelsim.workload.tflite.graph import TfliteOperator
from accelsim.workload.tflite.schema import SAME, VALID
from accelsim.workload.tflite.translation import Translation

_Pair = tuple[int, int]


def positive_options(operator: TfliteOperator, translation: Translation, *names: str) -> _Pair:
    """Two options (vertical, horizontal) that must be at least 1."""
    vertical, horizontal = (operator.options[name] for name in names)
    if min(vertical, horizontal) < 1:
        raise translation.error(f"expected {names[0]} and {names[1]} of at least 1, got {vertical} and {horizontal}",
                                operator)
    return vertical, horizontal


def out_size(operator: TfliteOperator, size: _Pair, kernel: _Pair, stride: _Pair, dilation: _Pair) -> _Pair:
    """Positions of a window: ceil(size / stride) for SAME, those inside the image for VALID; below 1 where there are none.

    Source: google-ai-edge/LiteRT `tflite/kernels/padding.h`, ComputeOutSize.
    """
    is_same = operator.options["padding"] == SAME
    rows, columns = (
        -(-length // step) if is_same else (length - spread * (reach - 1) - 1) // step + 1
        for length, reach, step, spread in zip(size, kernel, stride, dilation, strict=True))
    return rows, columns


def window_pads(operator: TfliteOperator, translation: Translation, size: _Pair, kernel: _Pair, stride: _Pair,
                dilation: _Pair) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of SAME (output = ceil(input / stride), the odd one last) or VALID (none).

    Source: google-ai-edge/LiteRT `tflite/kernels/padding.h`, ComputePaddingHeightWidth.
    """
    padding = operator.options["padding"]
    if padding not in (SAME, VALID):
        raise translation.error(f"expected the padding 0 (SAME) or 1 (VALID), got {padding}", operator)
    if padding == VALID:
        return 0, 0, 0, 0
    totals = [max(0, (-(-length // step) - 1) * step + spread * (reach - 1) + 1 - length)
              for length, reach, step, spread in zip(size, kernel, stride, dilation, strict=True)]
    return totals[0] // 2, totals[1] // 2, totals[0] - totals[0] // 2, totals[1] - totals[1] // 2
