"""AdaRound of MobileNetV2's 53 layers at 2,000 iterations each: layers of the same shapes, random weights and inputs.

The time of an iteration does not depend on how many there are, so that 20 of each shape are timed, from the first that is
told to the last, and scaled up; what a layer costs beside them (its order of rows, the single flips at the end) is added,
and is too much rather than too little: after so few iterations the most flips are left.
"""

import os
import time
from collections import Counter

import numpy as np

from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.clip import NO_CLIP, RELU6
from accelsim.quantization.layer_problem import LayerProblem
from accelsim.quantization.rounding.adaround import adaround

ITERATIONS = 2000
MOST_MINUTES = 20
PROCESSORS = 2

#: Rows of the inputs that a layer keeps.
ROWS = 4096
TIMED_ITERATIONS = 20

# Source: Sandler et al. 2018 (MobileNetV2, arXiv 1801.04381), table 2: expansion, channels, repeats.
BLOCKS = [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]


def layer_shapes():
    """(G, N, K, activation) of the 52 convolutions and the classifier."""
    shapes, channels = [(1, 32, 27, RELU6)], 32
    for expansion, out_channels, repeats in BLOCKS:
        for _ in range(repeats):
            wide = expansion * channels
            if expansion > 1:
                shapes.append((1, wide, channels, RELU6))
            shapes += [(wide, 1, 9, RELU6), (1, out_channels, wide, NO_CLIP)]
            channels = out_channels
    return [*shapes, (1, 1280, channels, RELU6), (1, 1000, 1280, NO_CLIP)]


def problem_of(groups, channels, depth, clip, generator):
    weights = generator.standard_normal((groups, channels, depth), dtype=np.float32) / np.sqrt(depth)
    scale = np.abs(weights).reshape(-1, depth).max(axis=1) / 7
    inputs = np.maximum(generator.standard_normal((groups, ROWS, depth), dtype=np.float32), 0)
    return LayerProblem(weights=weights, grid=QParams(scale=scale, zero_point=0, qtype=QType(4, True), axis=0),
                        inputs=inputs, clip=clip)


def now():
    """On the clock and of CPU, in seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def seconds_of(problem):
    """Of 2,000 iterations of a layer: [clock, CPU] of the iterations and of the rest."""
    told = []

    def run(settles):
        started = now()
        adaround(problem, generator=np.random.default_rng(0), iterations=TIMED_ITERATIONS, threads=PROCESSORS,
                 settles=settles, told=lambda done, total: told.append((done, now())))
        return now() - started

    run(False)
    (first, since), (last, until) = told[0], told[-1]
    assert last == TIMED_ITERATIONS
    iteration = (until - since) / (last - first)
    return ITERATIONS * iteration, np.maximum(run(True) - TIMED_ITERATIONS * iteration, 0)


def test_mobilenet_v2_takes_at_most_20_minutes_on_two_processors(keeps):
    shapes = layer_shapes()
    assert len(shapes) == 53
    generator = np.random.default_rng(0)
    iterating, rest = np.zeros(2), np.zeros(2)
    for shape, count in Counter(shapes).items():
        problem = problem_of(*shape, generator)
        _ = problem.target, problem.nearest
        layer = seconds_of(problem)
        iterating += count * layer[0]
        rest += count * layer[1]
    minutes = (iterating + rest) / 60
    processors = min(PROCESSORS, os.cpu_count())
    each = iterating / (len(shapes) * ITERATIONS) * 1e3
    keeps(what=f"AdaRound of {len(shapes)} layers of MobileNetV2's shapes, {ITERATIONS} iterations each",
          measured=f"{minutes[1]:.1f} minutes of CPU ({each[1]:.1f} ms an iteration, {rest[1]:.0f} s beside), "
                   f"{minutes[0]:.1f} minutes on the clock",
          promise=f"at most {MOST_MINUTES} minutes on {processors} processors",
          holds=minutes[1] / processors <= MOST_MINUTES)
