"""How long the integer program takes for a network of ResNet-50's size, drawn at random.

54 layers, five widths of weights and five of activations each, limits of latency, energy and size. Latency is the slower of
multiplying (as fast as the wider operand allows) and moving bytes, each layer with sizes of its own; sensitivities fall by
four a bit. Separable: a layer's costs depend on its own weights and inputs. Shared: also on what it writes, which its reader
reads.
"""

import statistics
import time

import numpy as np
import pytest

from accelsim.search.ilp import IntegerProgram
from accelsim.search.pareto import pareto_front
from accelsim.search.problem import CostTerm, Problem, Variable

LAYERS = 54
WIDTHS = (2, 3, 4, 6, 8)
RELATIVE_GAP = 1e-4
INSTANCES = 10

#: Seconds.
MOST = {"separable": 1.0, "shared": 5.0}
MOST_FRONT = 30.0


def instance(seed, *, is_shared):
    """A problem of three limits, near a half of what 8 bits cost."""
    generator = np.random.default_rng(seed)
    bits = np.array(WIDTHS, float)
    macs, parameters, activations = (np.exp(generator.normal(mean, 1, LAYERS + 1)) for mean in (3, 2, 2))
    scales = np.exp(generator.normal(0, 1.5, (2, LAYERS + 1)))
    variables = []
    costs = {"sensitivity": [], "latency": [], "energy": [], "size": []}
    for layer in range(LAYERS):
        w, a = f"w{layer}", f"a{layer}"
        variables += [Variable(w, WIDTHS), Variable(a, WIDTHS)]
        for name, scale in zip((w, a), scales[:, layer], strict=True):
            noise = np.exp(generator.normal(0, 0.1, len(WIDTHS)))
            costs["sensitivity"].append(CostTerm.of(name, [name], scale * 4.0**-bits * noise))
        names = [w, a]
        compute = macs[layer] * np.maximum.outer(bits, bits) / 8 * np.exp(generator.normal(0, 0.05, (len(WIDTHS),) * 2))
        moved = parameters[layer] * bits[:, None] / 8 + activations[layer] * bits[None] / 8
        multiplied = macs[layer] * np.multiply.outer(bits, bits) / 64
        if is_shared and layer + 1 < LAYERS:
            names.append(f"a{layer + 1}")
            moved = moved[..., None] + activations[layer + 1] * bits / 8
            compute, multiplied = compute[..., None], multiplied[..., None]
        costs["latency"].append(CostTerm.of(w, names, np.ceil(100 * np.maximum(compute, moved))))
        costs["energy"].append(CostTerm.of(w, names, multiplied + 4 * moved))
        costs["size"].append(CostTerm.of(w, [w], parameters[layer] * bits / 8))
    problem = Problem(tuple(variables), {name: tuple(terms) for name, terms in costs.items()}, "sensitivity", {})
    wide = problem.indices({variable.name: 8 for variable in variables})
    shares = {"latency": 0.5, "energy": 0.35, "size": 0.55}
    return problem.with_limits({name: share * problem.evaluate(name, wide)[0] for name, share in shares.items()})


@pytest.mark.parametrize("kind", MOST)
def test_the_integer_program_of_54_layers_is_solved_in_seconds(keeps, kind):
    seconds = []
    for seed in range(INSTANCES):
        problem = instance(seed, is_shared=kind == "shared")
        started = time.perf_counter()
        solution = IntegerProgram(relative_gap=RELATIVE_GAP).solve(problem)
        seconds.append(time.perf_counter() - started)
        assert solution.gap <= RELATIVE_GAP
    median = statistics.median(seconds)
    keeps(what=f"ILP, {LAYERS} layers x {len(WIDTHS) ** 2} pairs, 3 budgets, {kind}",
          measured=f"{median:.2f} s (slowest {max(seconds):.2f} s)", promise=f"at most {MOST[kind]:.0f} s",
          holds=median <= MOST[kind])


def test_a_front_of_40_points_takes_half_a_minute_at_most(keeps):
    problem = instance(0, is_shared=False)
    started = time.perf_counter()
    front = pareto_front(problem, "latency", points=40, solver=IntegerProgram(relative_gap=RELATIVE_GAP))
    seconds = time.perf_counter() - started
    assert len(front.points) > 20
    keeps(what=f"Pareto front of 40 limits, {LAYERS} layers x {len(WIDTHS) ** 2} pairs", measured=f"{seconds:.1f} s",
          promise=f"at most {MOST_FRONT:.0f} s", holds=seconds <= MOST_FRONT)
