"""The output range that clamps behind a layer leave: ReLU, ReLU6, Clip, on real numbers or on integers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.numerics.qparams import QParams
from accelsim.workload.onnx.activations import Activations, NotQuantized
from accelsim.workload.onnx.graph import Node

CLAMPS = ("Relu", "Clip")


def clamp_range(nodes: Sequence[Node], output: QParams, model: Activations) -> tuple[int, int]:
    """What is left of the output's type after these clamps, one after the other.

    Rounding is monotone, so ``quantize(clip(x, a, b)) = clip(quantize(x), quantize(a), quantize(b))``: a clamp of real
    numbers is one of integers, whether the model rounds before it, behind it, or both.

    Raises
    ------
    NotQuantized : a bound that is computed.
    """
    low, high = output.qtype.min, output.qtype.max
    for node in nodes:
        least, most = _bounds(node, output, model)
        # As ONNX defines Clip: the larger bound wins if they are crossed.
        low, high = min(max(low, least), most), min(max(high, least), most)
    return low, high


def _bounds(node: Node, output: QParams, model: Activations) -> tuple[int, int]:
    """Bounds of one clamp in the output's integers."""
    bounds: list[float | None] = [0.0, None]
    if node.op == "Clip":
        bounds = [_bound(node, "min", 1, model), _bound(node, "max", 2, model)]
    found = []
    for bound, limit in zip(bounds, (output.qtype.min, output.qtype.max), strict=True):
        if bound is None:
            found.append(limit)
        elif model.holds_integers(node.inputs[0]):
            found.append(int(np.clip(bound, output.qtype.min, output.qtype.max)))
        else:
            found.append(int(output.quantize(np.float32(bound))))
    return found[0], found[1]


def _bound(node: Node, attribute: str, position: int, model: Activations) -> float | None:
    name = node.input(position)
    if not name:
        value = node.attribute(attribute)
        return None if value is None else float(value)
    if not model.translation.is_constant(name):
        raise NotQuantized("expected a Clip between constants")
    return float(model.parameters.array(name).flat[0])
