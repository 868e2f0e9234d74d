"""Layers to be rounded, with correlated inputs as networks have them, and the best of all their up or down roundings."""

import itertools

import numpy as np

from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.clip import NO_CLIP
from accelsim.quantization.layer_problem import LayerProblem


def correlated_rows(generator, groups, rows, depth):
    """Rows behind a ReLU: mixtures of fewer causes than columns, with means."""
    mix = generator.normal(size=(groups, depth, depth)) * 0.7 / np.sqrt(depth) + np.eye(depth) / 2
    centre = generator.normal(size=(groups, 1, depth)) / 2
    return np.maximum(generator.normal(size=(groups, rows, depth)) @ mix + centre, 0)


def weight_grid(weights, *, bits, kind="channel", is_asymmetric=False, block=4):
    """Min-max `QParams` of weights (G, N, K), per tensor, channel or block of K: signed, or unsigned with zero points."""
    matrix = weights.reshape(-1, weights.shape[2])
    units = {"tensor": matrix.reshape(1, 1, -1), "channel": matrix[:, None, :]}
    if kind == "block":
        padded = np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % block)), mode="edge")
        units["block"] = padded.reshape(len(matrix), -1, block)
    low, high = np.minimum(units[kind].min(axis=2), 0), np.maximum(units[kind].max(axis=2), 0)
    if is_asymmetric:
        scale = (high - low) / (2**bits - 1)
        zero_point = np.rint(-low / scale).astype(int)
    else:
        scale = np.maximum(-low, high) / (2 ** (bits - 1) - 1)
        zero_point = np.zeros(scale.shape, dtype=int)
    shape = {"tensor": (), "channel": (len(matrix),), "block": scale.shape}[kind]
    placed = {"tensor": {}, "channel": {"axis": 0}, "block": {"axis": 1, "group_size": block}}[kind]
    return QParams(scale=scale.astype(np.float32).reshape(shape), zero_point=zero_point.reshape(shape),
                   qtype=QType(bits, not is_asymmetric), **placed)


def rounding_problem(seed, *, groups=1, channels=8, depth=8, rows=400, bits=4, kind="channel", is_asymmetric=False,
                     clip=NO_CLIP, input_levels=None):
    """A layer with random weights; `input_levels` rounds the inputs of the quantized network to so many values."""
    generator = np.random.default_rng(seed)
    inputs = correlated_rows(generator, groups, rows, depth)
    seen = None
    if input_levels is not None:
        step = inputs.max() / (input_levels - 1)
        seen = np.rint(inputs / step) * step
    weights = generator.normal(size=(groups, channels, depth)) / 10
    bias = generator.normal(size=groups * channels) / 5
    grid = weight_grid(weights, bits=bits, kind=kind, is_asymmetric=is_asymmetric)
    return LayerProblem(weights=weights, grid=grid, inputs=inputs, quantized_inputs=seen, bias=bias, clip=clip)


def best_up_or_down(problem):
    """The smallest error (G, N) of each channel over all 2^K roundings up or down, by trying them."""
    groups, channels, depth = problem.weights.shape
    ups = np.array(list(itertools.product((0, 1), repeat=depth)))
    grid = problem.weight_grid
    least = np.empty((groups, channels))
    for g, n in np.ndindex(groups, channels):
        scale = grid.scale[g, n]
        steps = np.clip(np.floor(problem.weights[g, n] / scale) + ups, grid.lowest[g, n], grid.highest[g, n])
        row = g * channels + n
        low, high = (float(np.broadcast_to(limit, groups * channels)[row])
                     for limit in (problem.clip.low, problem.clip.high))

        def behind(sums, low=low, high=high):
            return np.minimum(np.maximum(sums, low), high)

        target = behind(problem.inputs[g].astype(float) @ problem.weights[g, n] + problem.bias[row])
        outputs = behind(problem.quantized_inputs[g].astype(float) @ (steps * scale).T + problem.bias[row])
        least[g, n] = np.mean((outputs - target[:, None]) ** 2, axis=0).min()
    return least
