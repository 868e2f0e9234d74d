"""What a search is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from accelsim.errors import SearchError
from accelsim.hardware.accelerator import Accelerator
from accelsim.lut.latency_table import LatencyTable
from accelsim.lut.store import Store
from accelsim.mapping.options import MappingOptions
from accelsim.problem import wrong_choice
from accelsim.quantization.bit_policy import BitPolicy
from accelsim.quantization.float_model import FloatModel
from accelsim.search.ilp import IntegerProgram
from accelsim.search.sensitivities.measures import MEASURES
from accelsim.search.solution import Solver
from accelsim.search.space_options import SpaceOptions

#: HAWQ-V2's measure, which needs a file of traces.
HESSIAN = "hessian"


@dataclass(frozen=True, eq=False)
class SearchRequest:
    """A search.

    Parameters
    ----------
    model : the float network.
    accelerator : that it is to run on.
    budgets : cost (latency, energy, size, bops, traffic) -> limit as people write it (`Budget.parse`).
    data : samples that ranges and sensitivities are taken from; a file or folder.
    evaluation : samples with labels that accuracies are measured on; None: those of `data`.
    space : which widths are open.
    solver : who solves.
    measure : of sensitivity, by name (`MEASURES`, or "hessian"); sensitivities : a file of one's own instead.
    traces : of the Hessian, for "hessian".
    policy : what the chosen widths are put into; None: ranges of least squared error, with scales that the accelerator
        takes.
    table, table_file : costs made before, and where they were read, for messages; None: they are made here.
    store, workers : of a table that is made here.
    options : of the runs that prove the policy; tables always have residency and prefetch off.
    is_accumulator_safe : whether accumulators that could overflow are forbidden, else the share of overflowing outputs times
        `overflow_weight` counts as sensitivity.
    verifies : whether a policy whose run breaks a budget is repaired or refused, else a remark says so.
    front_points : of the Pareto front; 0: none.
    seed : of solvers with chance in them.

    Raises
    ------
    SearchError : no budget, a front of one point, an unknown measure, a measure without its file.
    """

    model: FloatModel
    accelerator: Accelerator
    budgets: Mapping[str, str]
    data: Path
    evaluation: Path | None = None
    space: SpaceOptions = field(default_factory=SpaceOptions)
    solver: Solver = field(default_factory=IntegerProgram)
    measure: str = "kl"
    sensitivities: Path | None = None
    traces: Path | None = None
    policy: BitPolicy | None = None
    table: LatencyTable | None = None
    table_file: str | None = None
    store: Store | None = None
    workers: int = 1
    options: MappingOptions = field(default_factory=MappingOptions)
    is_accumulator_safe: bool = True
    overflow_weight: float = 1.0
    verifies: bool = False
    front_points: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.budgets:
            raise SearchError("expected a budget such as --latency 0.7x, got none")
        if self.front_points == 1:
            raise SearchError("expected at least 2 points of a front or 0 for none, got 1", field="--front")
        if self.sensitivities is None and self.measure not in (*MEASURES, HESSIAN):
            raise SearchError(wrong_choice(self.measure, [*MEASURES, HESSIAN]), field="--measure")
        if self.measure == HESSIAN and self.sensitivities is None and self.traces is None:
            raise SearchError("expected a file of traces for the measure hessian, got none", field="--traces")
