"""Writes the tables of search.md: `python docs/search_tables.py [gaps] [bops] [accelerators]`, all of them if none is named.

Each stands between two markers in the page, and is measured anew. `gaps` needs ACCELSIM_TEST_DATA.
"""

import json
import os
import re
import sys
import time
from functools import lru_cache
from pathlib import Path

from accelsim import load_accelerator, load_network, simulate
from accelsim.lut.assignment import assigned
from accelsim.lut.store import Store, default_store_path
from accelsim.lut.table_builder import build_table
from accelsim.search.ilp import IntegerProgram
from accelsim.search.pareto import pareto_front
from accelsim.search.problem import CostTerm, Problem, Variable
from accelsim.search.solvers import SOLVERS, solver_named
from accelsim.search.space import SearchSpace
from accelsim.search.space_options import SpaceOptions
from accelsim.search.table_costs import table_costs, uniform_costs

PAGE = Path(__file__).parent / "search.md"
METRICS = ("latency", "bops", "model_size")
HEURISTICS = [name for name in SOLVERS if name not in ("ilp", "exhaustive")]


def hawq_problems():
    """(name, problem) of HAWQ-V3's twelve budgets for ResNet-18."""
    folder = os.environ.get("ACCELSIM_TEST_DATA")
    if not folder:
        raise SystemExit("ACCELSIM_TEST_DATA: expected a folder with search/hawqv3_ilp_resnet18.json, got none")
    published = json.loads((Path(folder) / "search" / "hawqv3_ilp_resnet18.json").read_text())
    names = {layer["index"]: layer["name"] for layer in published["layers"]}
    leaders = {max(pair): min(pair) for pair in published["ties"]}
    own = [names[leaders.get(layer["index"], layer["index"])] for layer in published["layers"]]
    costs = {metric: tuple(CostTerm.of(layer["name"], [name], [layer[metric]["4"], layer[metric]["8"]])
                           for layer, name in zip(published["layers"], own, strict=True))
             for metric in ("sensitivity", *METRICS)}
    variables = tuple(Variable(name, (4, 8)) for name in dict.fromkeys(own))
    for budget in published["budgets"]:
        limits = {each["metric"]: each["limit"] for each in budget["constraints"]}
        yield budget["id"], Problem(variables, costs, "sensitivity", limits)


def gaps():
    """How far every solver stays from the optimum, in percent of it, with seed 0; and its seconds."""
    lines = ["| budget | optimum | " + " | ".join(HEURISTICS) + " |", "|---|--:|" + "--:|" * len(HEURISTICS)]
    seconds = dict.fromkeys(["ilp", *HEURISTICS], 0.0)
    worst = dict.fromkeys(HEURISTICS, 0.0)
    for name, problem in hawq_problems():
        found = {}
        for solver in seconds:
            started = time.perf_counter()
            found[solver] = solver_named(solver).solve(problem, seed=0).objective
            seconds[solver] += time.perf_counter() - started
        best = found["ilp"]
        shares = {solver: max(0.0, found[solver] / best - 1) for solver in HEURISTICS}
        worst = {solver: max(worst[solver], share) for solver, share in shares.items()}
        label = name.replace("model_size", "size").replace("+", ", ")
        lines.append(f"| {label} | {best:.6f} | " + " | ".join(percent(share) for share in shares.values()) + " |")
    lines.append("| **worst** | | " + " | ".join(percent(share) for share in worst.values()) + " |")
    lines.append(f"| seconds of all twelve (ilp {seconds['ilp']:.1f}) | | "
                 + " | ".join(f"{seconds[solver]:.1f}" for solver in HEURISTICS) + " |")
    return lines


def percent(share):
    return "0" if share < 1e-9 else f"{100 * share:.2f} %"


# Relative noise of a uniform quantizer: its power falls by four a bit (white paper, arXiv 2106.08295, section 2.2).
NOISE_PER_BIT = 4.0


@lru_cache
def mobilenet(accelerator, *, network="mobilenet_v2"):
    """The problem of a layer list on an accelerator: latency and bit operations against quantization noise.

    A layer list has no weights, so that each operand counts alike: 4^-bits, relative to its own power.
    """
    options = SpaceOptions(weight_bits=(2, 4, 8), activation_bits=(4, 8))
    space = SearchSpace.of_network(load_network(network), options)
    chip = load_accelerator(accelerator)
    with Store(default_store_path()) as store:
        table = build_table(space.network, chip, weight_bits=space.widths("weights"), input_bits=space.widths("activations"),
                            store=store)
    noise = tuple(CostTerm.of(str(operand), [space.variable_of[operand]],
                              [NOISE_PER_BIT ** -bits for bits in space.widths_of(operand)])
                  for operand in space.free_operands)
    problem = Problem(space.variables, {"noise": noise, **table_costs(space, table)}, "noise", {})
    return space, chip, problem, uniform_costs(space, table)


def latency_of(space, chip, assignment):
    """Cycles of the whole network, simulated."""
    return simulate(chip, assigned(space.network, space.bits(assignment))).total_cycles


def bops():
    """Noise of choices driven by latency and of those driven by bit operations, within the same simulated latency."""
    lines = []
    for accelerator in ("bitfusion_16x32", "ne16_gap9"):
        space, chip, problem, uniform = mobilenet(accelerator)
        solver = IntegerProgram(relative_gap=1e-3)
        counted = pareto_front(problem, "bops", points=30, solver=solver).solutions
        least = IntegerProgram().solve(problem.with_objective("latency").with_limits({})).objective
        lines += ["", f"{accelerator} (uniform 8: {uniform['latency']:,.0f} cycles):", "",
                  "| latency of uniform 8 | driven by latency: noise | simulated cycles | driven by BOPs: noise | "
                  "simulated cycles | noise, times |", "|--:|--:|--:|--:|--:|--:|"]
        shares = [least / uniform["latency"] + step * (1 - least / uniform["latency"]) / 9 for step in range(9)]
        for share in shares:
            limit = share * uniform["latency"] * (1 + 1e-9)
            own = solver.solve(problem.with_limits({"latency": limit}))
            own_cycles = latency_of(space, chip, own.assignment)
            assert own_cycles == own.costs["latency"] <= limit
            others = [each for each in counted if each.costs["latency"] <= limit]
            if not others:
                lines.append(f"| {share:.3f} | {own.objective:.5f} | {own_cycles:,} | none is as fast | – | – |")
                continue
            other = min(others, key=lambda each: each.objective)
            cycles = latency_of(space, chip, other.assignment)
            assert cycles == other.costs["latency"] <= limit
            lines.append(f"| {share:.3f} | {own.objective:.5f} | {own_cycles:,} | {other.objective:.5f} | {cycles:,} | "
                         f"{other.objective / own.objective:.3f} |")
    return lines


def accelerators():
    """One network searched for two accelerators at the same noise, each policy run on both."""
    names = ("bitfusion_16x32", "ne16_gap9")
    parts = {name: mobilenet(name) for name in names}
    least = parts[names[0]][2]
    ends = [least.evaluate("noise", least.indices(parts[names[0]][0].uniform(bits)))[0] for bits in (8, 4)]
    limit = 0.5 * (ends[0] + ends[1])
    policies = {}
    for name, (_, _, problem, _) in parts.items():
        asked = problem.with_objective("latency").with_limits({"noise": limit})
        policies[name] = IntegerProgram(relative_gap=1e-4, time_limit_s=60).solve(asked)
    lines = ["| searched for | " + " | ".join(f"cycles on {name}" for name in names) + " | noise | mean bits of weights | "
             "mean bits of activations |", "|---|" + "--:|" * (len(names) + 3)]
    for name, solution in policies.items():
        cycles = [latency_of(parts[other][0], parts[other][1], solution.assignment) for other in names]
        space = parts[name][0]
        means = [sum(found) / len(found) for found in (
            [solution.assignment[variable] for operand, variable in space.variable_of.items() if operand.kind == kind]
            for kind in ("weights", "activations"))]
        lines.append(f"| {name} | " + " | ".join(f"{count:,}" for count in cycles)
                     + f" | {solution.costs['noise']:.5f} | {means[0]:.2f} | {means[1]:.2f} |")
    differing = sum(policies[names[0]].assignment[variable] != width
                    for variable, width in policies[names[1]].assignment.items())
    lines += ["", f"The two policies differ in {differing} of {len(policies[names[0]].assignment)} decisions."]
    return lines


TABLES = {"gaps": gaps, "bops": bops, "accelerators": accelerators}


def main(wanted):
    for name in wanted or TABLES:
        lines = "\n".join(TABLES[name]()).strip("\n")
        print(f"{lines}\n", flush=True)
        text = PAGE.read_text(encoding="utf-8")
        text, count = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)",
                              lambda match, lines=lines: f"{match[1]}{lines}\n{match[2]}", text, flags=re.DOTALL)
        assert count == 1, f"search.md has no place for {name}"
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
