"""Operators that onnxruntime computes in floating point between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.numerics.rule import Rule

Reals = NDArray[np.float32]


def _folded(function: Callable[[Any, Any], Any]) -> Callable[[Sequence[Reals]], Reals]:
    return lambda operands: reduce(function, operands)


def _mean(operands: Sequence[Reals]) -> Reals:
    return reduce(np.add, operands) / np.float32(len(operands))


def _prelu(operands: Sequence[Reals]) -> Reals:
    x, slope = operands
    return np.where(x < 0, x * slope, x)


def _affine(operands: Sequence[Reals]) -> Reals:
    x, factor, addend = operands
    return x * factor + addend


#: Name -> function of float32 operands that broadcast.
FUNCTIONS: Mapping[str, Callable[[Sequence[Reals]], Reals]] = {
    "add": _folded(np.add), "sub": _folded(np.subtract), "mul": _folded(np.multiply), "div": _folded(np.divide),
    "max": _folded(np.maximum), "min": _folded(np.minimum), "pow": _folded(np.power), "mean": _mean, "prelu": _prelu,
    "affine": _affine,
}


@dataclass(frozen=True, eq=False)
class FloatKernel:
    """``y = clamp(quantize(f(dequantize(x), ...)))``, each operation rounded to float32.

    The same integers as onnxruntime's: its operators are single IEEE operations too (but for pow, which is as good as
    numpy's). The rule plays no part: the vector unit computes these in float32 under every rule.

    Parameters
    ----------
    function : a key of `FUNCTIONS`.
    inputs : of the activations, in order.
    output : per tensor.
    clamp_min, clamp_max : the output's range, within its type.
    constants : position of an operand -> float32 array; the activations take the positions that are left.

    Examples
    --------
    >>> from accelsim.numerics.qtype import QType
    >>> x, y = (QParams(scale=s, zero_point=z, qtype=QType(8, True)) for s, z in ((0.5, 1), (0.25, 0)))
    >>> kernel = FloatKernel("div", (x,), y, -128, 127, constants={1: np.array(2, np.float32)})
    >>> kernel.run([np.array([1, 2, 5], np.int8)], Rule("float32_nearest_even")).tolist()
    [0, 1, 4]
    """

    function: str
    inputs: tuple[QParams, ...]
    output: QParams
    clamp_min: int
    clamp_max: int
    constants: Mapping[int, NDArray[Any]] = field(default_factory=dict)

    def run(self, inputs: Sequence[NDArray[Any]], rule: Rule) -> NDArray[Any]:
        reals = iter([qparams.dequantize(x, dtype=np.float32) for qparams, x in zip(self.inputs, inputs, strict=True)])
        count = len(self.inputs) + len(self.constants)
        operands = [self.constants[place] if place in self.constants else next(reals) for place in range(count)]
        with np.errstate(over="ignore", divide="ignore", invalid="ignore", under="ignore"):
            result = np.asarray(FUNCTIONS[self.function](operands), dtype=np.float32)
        integers = self.output.quantize(result)
        return np.asarray(np.clip(integers, self.clamp_min, self.clamp_max), dtype=integers.dtype)
