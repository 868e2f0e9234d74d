"""Small float networks with the operators of mobile networks, written as ONNX files."""

from __future__ import annotations

from typing import Any

import numpy as np
from quantized_models import FloatModel, Weights, node


def normalization(w: Weights, source: str, output: str, channels: int, seed: int = 0) -> Any:
    """A batch normalization with parameters of its own."""
    random = np.random.default_rng([seed, channels, len(output)])
    values = {"g": random.normal(1, 0.5, channels), "b": random.normal(0, 0.3, channels),
              "m": random.normal(0, 0.2, channels), "v": random.uniform(0.5, 1.5, channels)}
    names = [w.keep(f"{output}_{name}", value.astype(np.float32)) for name, value in values.items()]
    return node("BatchNormalization", [source, *names], [output], name=output)


def convolution(w: Weights, source: str, output: str, *shape: int, has_bias: bool = True, **attributes: Any) -> Any:
    """A convolution with weights (and a bias) of its own."""
    names = [source, w.add(f"{output}_w", *shape)]
    if has_bias:
        names.append(w.add(f"{output}_bias", shape[0], scale=0.1))
    return node("Conv", names, [output], name=output, **attributes)


def mobile(seed: int = 0) -> FloatModel:
    """Batch normalizations behind layers and alone, squeeze and excite, smooth activations, a Pad, a Gemm with factors."""
    w = Weights(seed)
    w.keep("pads", np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    w.add("slope", 8, 1, 1, scale=0.2)
    for name, value in (("low", 0), ("six", 6), ("half", 0.5)):
        w.keep(name, np.array(value, np.float32))
    nodes = [
        convolution(w, "x", "c1", 8, 3, 3, 3, has_bias=False, strides=[2, 2], pads=[1] * 4), normalization(w, "c1", "b1", 8),
        node("HardSwish", ["b1"], ["h1"], name="h1"),
        convolution(w, "h1", "d1", 8, 1, 3, 3, has_bias=False, group=8, pads=[1] * 4), normalization(w, "d1", "b2", 8),
        node("Clip", ["b2", "low", "six"], ["r6"], name="r6"),
        node("GlobalAveragePool", ["r6"], ["se0"], name="se0"), convolution(w, "se0", "se1", 4, 8, 1, 1),
        node("Relu", ["se1"], ["se1r"], name="se1r"), convolution(w, "se1r", "se2", 8, 4, 1, 1),
        node("HardSigmoid", ["se2"], ["gate"], name="gate", alpha=1 / 6, beta=0.5), node("Mul", ["r6", "gate"], ["se"],
                                                                                         name="se"),
        convolution(w, "se", "p1", 8, 8, 1, 1, has_bias=False), normalization(w, "p1", "b3", 8),
        node("Add", ["b3", "h1"], ["res"], name="res"), node("PRelu", ["res", "slope"], ["pr"], name="pr"),
        node("Pad", ["pr", "pads"], ["padded"], name="padded"), convolution(w, "padded", "v1", 8, 8, 3, 3),
        node("Sigmoid", ["v1"], ["sg"], name="sg"), node("Mul", ["v1", "sg"], ["silu"], name="silu"),
        normalization(w, "silu", "b4", 8), node("Relu", ["b4"], ["b4r"], name="b4r"),
        convolution(w, "b4r", "q1", 6, 8, 1, 1, has_bias=False), node("Mul", ["q1", "half"], ["q1h"], name="q1h"),
        node("Gelu", ["q1h"], ["gl"], name="gl"), node("GlobalAveragePool", ["gl"], ["mean"], name="mean"),
        node("Flatten", ["mean"], ["flat"], name="flat"), node("Dropout", ["flat"], ["drop"], name="drop"),
        node("Gemm", ["drop", w.add("fc_w", 6, 10), w.add("fc_b", 10, scale=0.1)], ["y"], name="fc", alpha=0.5, beta=2.0)]
    return FloatModel(nodes, (1, 3, 16, 16), w.constants, opset=20)
