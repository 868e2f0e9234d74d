"""Mean and variance of a network's channels without data, from the statistics of folded batch normalizations.

Layers behind a batch normalization are normal, with mean beta and deviation |gamma|; a clip makes a clipped normal of them
(`clipped_normal`). From there on

- an addition adds means and, taking its operands for independent, variances; the sum counts as normal;
- average pooling keeps means, and variances, which it lowers in truth, as an upper bound;
- a layer without statistics has the mean ``W E[x] + b`` and, for independent inputs, the variance ``W^2 Var[x]``; what it
  makes counts as normal;
- reshaping to rows repeats a channel's numbers for each of its positions.

What is not known, as of the network's inputs, is left out, and so is what follows from it.

References
----------
White paper (arXiv 2106.08295) section 3.3; Nagel et al. 2019 (arXiv 1906.04721), section 4.2.2 and appendix C.
"""

from __future__ import annotations

from math import prod

import numpy as np

from accelsim.quantization.clip import RELU, Clip
from accelsim.quantization.correction.bias_correction import analytic_shift
from accelsim.quantization.correction.clipped_normal import Moments, clipped_normal
from accelsim.quantization.float_layer import FloatLayer, clip_bounds
from accelsim.quantization.float_model import FloatModel
from accelsim.workload.onnx.graph import Node

_AVERAGING = frozenset({"AveragePool", "GlobalAveragePool"})
_RESHAPING = frozenset({"Flatten", "Reshape", "Squeeze"})


def channel_moments(model: FloatModel) -> dict[str, Moments]:
    """Mean and variance of each channel, (channels,), of every tensor of which they are known.

    Parameters
    ----------
    model : with folded batch normalizations.
    """
    known: dict[str, Moments] = {}
    layers = {layer.node.name: layer for layer in model.layers}
    for node in model.nodes:
        if node.name in layers:
            _put_layer(layers[node.name], model, known)
        elif node.outputs[0] not in known:
            found = _behind(node, model, known)
            if found is not None:
                known[node.outputs[0]] = found
    return known


def _put_layer(layer: FloatLayer, model: FloatModel, known: dict[str, Moments]) -> None:
    statistics = model.statistics.get(layer.output)
    if statistics is not None:
        own = Moments(statistics.mean, np.square(statistics.std))
    else:
        x = known.get(layer.input)
        if x is None or layer.followers or layer.weights.shape[2] * layer.weights.shape[0] % x.mean.size:
            return
        bias = np.zeros(layer.channels) if layer.bias is None else layer.bias.astype(np.float64)
        zeros = np.zeros_like(layer.weights)
        own = Moments(analytic_shift(zeros, layer.weights, x.mean) + bias,
                      analytic_shift(zeros, np.square(layer.weights), x.variance))
    known[layer.output] = own
    known[layer.activated] = _clipped(own, layer.clip)


def _behind(node: Node, model: FloatModel, known: dict[str, Moments]) -> Moments | None:
    """What a node that is no layer with weights makes of what is known of its inputs."""
    operands = [known.get(name) for name in node.inputs]
    first = operands[0] if operands else None
    if first is None:
        return None
    if node.op == "Add" and all(each is not None and each.mean.size == first.mean.size for each in operands):
        return _sum([each for each in operands if each is not None])
    if node.op in _AVERAGING:
        return first
    if node.op in _RESHAPING:
        return _reshaped(first, model.sizes.get(node.inputs[0], ()), model.sizes.get(node.outputs[0], ()))
    if node.op == "Relu":
        return _clipped(first, RELU)
    if node.op == "Clip":
        low, high = clip_bounds(node, model)
        return _clipped(first, Clip(low=low, high=high)) if low < high else None
    return None


def _sum(parts: list[Moments]) -> Moments:
    return Moments(np.sum([each.mean for each in parts], axis=0), np.sum([each.variance for each in parts], axis=0))


def _clipped(known: Moments, clip: Clip) -> Moments:
    return known if clip.is_identity else clipped_normal(known.mean, np.sqrt(known.variance), clip)


def _reshaped(known: Moments, before: tuple[int, ...], after: tuple[int, ...]) -> Moments | None:
    """(1, channels, positions ...) as rows (1, channels * positions)."""
    positions = prod(before[2:])
    if len(before) < 3 or before[1] != known.mean.size or after not in ((before[0], known.mean.size * positions), before):
        return None
    return Moments(*(np.repeat(each, positions) for each in known))
