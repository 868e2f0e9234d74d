"""The seeded cases of the RTL's tests, in groups; as a program, what they cover.

``PYTHONPATH=tests python tests/rtl/rtl_groups.py`` prints the tables of docs/fidelity.md; it makes all cases, runs none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rtl import rtl_designs as designs

#: Kinds whose steps are slow to simulate, with smaller grids in the exhaustive groups.
LARGE = ("bit_fusion_16", "bit_fusion_passes")

OTHERS = [name for name in designs.PRECISIONS if name != "fixed"]
FLOWS = designs.DATAFLOWS


@dataclass(frozen=True)
class Group:
    """Designs with cases, for one simulator.

    Parameters
    ----------
    runs : name of a run -> makes (design, cases).
    """

    simulator: str
    is_slow: bool
    runs: dict[str, Callable[[], tuple]]


def _seeds(seeds):
    return {str(seed): partial(designs.seeded, seed) for seed in seeds}


def _chains(seeds, names):
    return {f"{name}-{seed}": partial(designs.chained, seed, name) for seed in seeds for name in names}


def _of_kinds(names, seeds, flows=(None,), **options):
    """One run for each name, dataflow and seed."""
    places = list(designs.PRECISIONS)
    runs = {}
    for name in names:
        for flow in flows:
            for seed in seeds:
                side = min(options["side"], 2) if name in LARGE else options["side"]
                make = partial(designs.seeded, seed + places.index(name), precision=name, dataflow=flow,
                               count=options["count"], most=1.6, side=side)
                runs["-".join(str(part) for part in (name, flow, seed) if part is not None)] = make
    return runs


GROUPS = {
    "amaranth": Group("Amaranth", False, _seeds(range(24))),
    "amaranth_slow": Group("Amaranth", True, _seeds(range(100, 300))),
    "kinds": Group("Amaranth", False,
                   _of_kinds([name for name in OTHERS if name not in LARGE], [0], FLOWS, side=3, count=3)),
    "kinds_slow": Group("Amaranth", True, _of_kinds(list(designs.PRECISIONS), [100, 200, 300], FLOWS, side=4, count=4)),
    "chains": Group("Amaranth", False, _chains(range(3), ("fixed", "bit_serial_weights", "bit_fusion_4"))),
    "chains_slow": Group("Amaranth", True, _chains(range(100, 120), ("fixed", "subword_passes", "bit_serial_both"))),
    "icarus": Group("Icarus Verilog", False, _seeds(range(1000, 1016))),
    "icarus_slow": Group("Icarus Verilog", True, _seeds(range(2000, 2150))),
    "icarus_kinds": Group("Icarus Verilog", False, _of_kinds(OTHERS, [3000], side=4, count=4)),
    "icarus_kinds_slow": Group("Icarus Verilog", True, _of_kinds(list(designs.PRECISIONS), [4000], FLOWS, side=4, count=4)),
}


def names_of(group):
    """Names of a group's runs."""
    return list(GROUPS[group].runs)


def made(group, name):
    """(design, cases) of a run."""
    return GROUPS[group].runs[name]()


def tables():
    """What the groups cover: cases by kind and dataflow, by requantization rule; integers, folds and overflows."""
    by_kind, by_rule, totals = Counter(), Counter(), Counter()
    for group in GROUPS.values():
        for make in group.runs.values():
            design, cases = make()
            by_kind[group.simulator, design.grid.precision.kind, design.grid.dataflow] += len(cases)
            rule = "none, accumulators are read" if design.requantizer is None else design.requantizer.scheme
            by_rule[group.simulator, rule] += len(cases)
            totals[group.simulator, "designs"] += 1
            totals[group.simulator, "cases"] += len(cases)
            totals[group.simulator, "of these in the default tests"] += 0 if group.is_slow else len(cases)
            totals[group.simulator, "cases with overflows"] += sum(case.overflow_count > 0 for case in cases)
            totals[group.simulator, "overflows"] += sum(case.overflow_count for case in cases)
            totals[group.simulator, "cycles of grids"] += sum(case.grid_cycles for case in cases)
            totals[group.simulator, "integers compared"] += sum(case.output_count for case in cases)
    return by_kind, by_rule, totals


def _rows(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return [*lines, *("| " + " | ".join(str(value) for value in row) + " |" for row in rows)]


def text():
    """The tables as Markdown."""
    by_kind, by_rule, totals = tables()
    simulators = ("Amaranth", "Icarus Verilog")
    kinds = list(dict.fromkeys(kind for _, kind, _ in by_kind))
    counts = {kind: [" / ".join(str(by_kind[simulator, kind, flow]) for simulator in simulators) for flow in FLOWS]
              for kind in kinds}
    lines = _rows(["cases, Amaranth / Icarus Verilog", *(flow.replace("_", " ") for flow in FLOWS)],
                  [[f"`{kind}`", *cells] for kind, cells in counts.items()])
    rules = sorted({rule for _, rule in by_rule})
    lines += ["", *_rows(["requantization rule", *simulators],
                         [[f"`{rule}`" if "," not in rule else rule, *(by_rule[simulator, rule] for simulator in simulators)]
                          for rule in rules])]
    names = list(dict.fromkeys(name for _, name in totals))
    lines += ["", *_rows(["in all", *simulators],
                         [[name, *(f"{totals[simulator, name]:,}" for simulator in simulators)] for name in names])]
    return "\n".join(lines)


if __name__ == "__main__":
    print(text())
