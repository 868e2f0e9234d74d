"""``accelsim search``: mixed precision under a budget, and its proof on the machine."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli import options as given
from accelsim.cli.output import print_json, print_remark, print_table, print_text, progress_bar
from accelsim.errors import AccelsimError

if TYPE_CHECKING:
    from accelsim.search.outcome import Outcome
    from accelsim.search.request import SearchRequest
    from accelsim.search.solution import Solver
    from accelsim.search.space_options import SpaceOptions

_WIDTHS = re.compile(r"[0-9]{1,2}(?:,[0-9]{1,2})*")
_FIXED = re.compile(r"(.+)=([0-9]{1,2}|open)")

_BUDGETS = ("latency", "energy", "size", "bops", "traffic")


def search(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A float .onnx or .tflite model.", show_default=False)],
    accelerator: given.AcceleratorArgument,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FILE|DIR", help="Samples for ranges and sensitivities (.npz, or a folder).",
                     show_default=False),
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option("--eval", metavar="FILE.npz", help="Samples with their label, for accuracies; --data if left out.",
                     show_default=False),
    ] = None,
    out: given.OutOption = None,
    latency: Annotated[
        str | None, typer.Option("--latency", metavar="0.7x|5ms|1.2Mcycles", help="Of one run.", show_default=False)
    ] = None,
    energy: Annotated[
        str | None, typer.Option("--energy", metavar="0.7x|3mJ", help="Of one run.", show_default=False)
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="0.5x|200KiB", help="Of all weights.", show_default=False)
    ] = None,
    bops: Annotated[
        str | None, typer.Option("--bops", metavar="0.5x|12GBOPs", help="Bit operations.", show_default=False)
    ] = None,
    traffic: Annotated[
        str | None, typer.Option("--traffic", metavar="0.5x|3MB", help="From and to DRAM.", show_default=False)
    ] = None,
    method: Annotated[
        str,
        typer.Option("--method", metavar="ilp|exhaustive|greedy|evolutionary|reinforcement|differentiable",
                     help="Who solves."),
    ] = "ilp",
    measure: Annotated[
        str,
        typer.Option("--measure", metavar="kl|mse|sqnr|loss|accuracy|fisher|hessian", help="Of sensitivity."),
    ] = "kl",
    sensitivity: Annotated[
        Path | None,
        typer.Option("--sensitivity", metavar="FILE.csv",
                     help="Sensitivities of your own: layer, operand, bits, sensitivity.",
                     show_default=False),
    ] = None,
    traces: Annotated[
        Path | None,
        typer.Option("--traces", metavar="FILE.csv", help="For the measure hessian: layer, operand, trace.",
                     show_default=False),
    ] = None,
    weight_bits: Annotated[str, typer.Option("--weights", metavar="2,4,8", help="Widths that weights may have.")] = "2,4,8",
    activation_bits: Annotated[
        str, typer.Option("--activations", metavar="2,4,8", help="Widths that activations may have.")
    ] = "2,4,8",
    fix: Annotated[
        list[str] | None,
        typer.Option("--fix", metavar="NAME=BITS", show_default=False,
                     help="A width that stays: of a layer's weights, a tensor, first, last, inputs, outputs (8 each unless "
                          "NAME=open); repeatable."),
    ] = None,
    tie: Annotated[
        list[str] | None,
        typer.Option("--tie", metavar="NAME,NAME", help="Layers or tensors with one width; repeatable.", show_default=False),
    ] = None,
    is_joined: Annotated[
        bool, typer.Option("--joined", help="A layer's weights are as wide as what it reads.")
    ] = False,
    accumulators: Annotated[
        str | None,
        typer.Option("--accumulators", metavar="16,20,24,32", help="Choose each layer's accumulators among these.",
                     show_default=False),
    ] = None,
    is_accumulator_safe: Annotated[
        bool, typer.Option("--accumulator-safe", help="Only accumulators that no inputs can overflow.")
    ] = False,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE.yaml", help="Schemes and ranges that the widths are put into.",
                     show_default=False),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--table", metavar="FILE.csv", help="A latency table of this network and accelerator.",
                     show_default=False),
    ] = None,
    is_measured: Annotated[
        bool, typer.Option("--measured", help="With evolutionary: measure the loss of each whole choice instead of a sum.")
    ] = False,
    trials: Annotated[int | None, typer.Option("--trials", min=1, help="With evolutionary.", show_default=False)] = None,
    storage: Annotated[
        Path | None,
        typer.Option("--storage", metavar="FILE.sqlite", help="With evolutionary: trials are kept, and gone on with.",
                     show_default=False),
    ] = None,
    verifies: Annotated[
        bool, typer.Option("--verify", help="Repair or refuse a choice whose run breaks the budget.")
    ] = False,
    keeps_activations: given.KeepOption = False,
    prefetches_weights: given.PrefetchOption = False,
    front: Annotated[int, typer.Option("--front", min=0, help="Points of the Pareto front; 0 for none.")] = 20,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that make the table.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of solvers with chance in them.")] = 0,
    is_json: given.JsonOption = False,
) -> None:
    """Choose the bits of every layer under a budget, quantize, and run the result to prove it."""
    from accelsim.whole_file import check_file_writable, check_writable

    if data is None:
        raise AccelsimError("expected samples to calibrate on, got none", field="--data")
    if out is not None:
        check_writable(out)
    if storage is not None:
        check_file_writable(storage)
    stated = dict(zip(_BUDGETS, (latency, energy, size, bops, traffic), strict=True))
    budgets = {cost: text for cost, text in stated.items() if text is not None}

    from accelsim.hardware.loader import load_accelerator
    from accelsim.lut.latency_table import LatencyTable
    from accelsim.lut.store import Store, default_store_path
    from accelsim.quantization.bit_policy import load_bit_policy
    from accelsim.quantization.float_model import FloatModel
    from accelsim.search.request import SearchRequest

    chip = load_accelerator(accelerator)
    if is_accumulator_safe and accumulators is None:
        accumulators = str(chip.accumulators.bits)
    space = _space(weight_bits, activation_bits, fix or [], tie or [], is_joined, accumulators)
    base = None if policy is None else load_bit_policy(policy)
    known, known_file = (None, None) if table is None else (LatencyTable.load(table), str(table))
    options = given.mapping_options(objective="latency", keeps_activations=keeps_activations,
                                    prefetches_weights=prefetches_weights)
    with Store(default_store_path(), told=print_remark) as store:
        request = SearchRequest(
            FloatModel.load(model), chip, budgets, data, evaluation, space, _solver(method, trials, storage), measure,
            sensitivity, traces, base, known, known_file, store, workers, options, is_accumulator_safe,
            verifies=verifies, front_points=front, seed=seed)
        outcome = _searched(request, is_measured)
    if out is not None:
        from accelsim.report.search_report import write_search

        print_remark(f"report: {write_search(outcome, out)}")
    if is_json:
        print_json(outcome.to_dict())
        return
    _print(outcome)


def _searched(request: SearchRequest, is_measured: bool) -> Outcome:
    from accelsim.search.closed_loop import search as closed_loop
    from accelsim.search.evolutionary import Evolutionary

    with progress_bar(request.model.name) as progress:
        if is_measured:
            if not isinstance(request.solver, Evolutionary):
                raise AccelsimError("expected the method evolutionary, which needs no sum, got another one",
                                    field="--measured")
            from accelsim.search.measured_loss import measured_loss

            request = replace(request, solver=replace(request.solver, measured=measured_loss(request)))
        return closed_loop(request, progress)


def _solver(method: str, trials: int | None, storage: Path | None) -> Solver:
    from accelsim.search.evolutionary import Evolutionary
    from accelsim.search.solvers import solver_named

    solver = solver_named(method)
    if isinstance(solver, Evolutionary):
        return replace(solver, trials=solver.trials if trials is None else trials, storage=storage)
    for option, value in (("--trials", trials), ("--storage", storage)):
        if value is not None:
            raise AccelsimError(f"expected the method evolutionary, got {method}", field=option)
    return solver


def _space(weight_bits: str, activation_bits: str, fix: list[str], tie: list[str], is_joined: bool,
           accumulators: str | None) -> SpaceOptions:
    from accelsim.search.space_options import FIXED_AT_ENDS, SpaceOptions

    fixed = dict(FIXED_AT_ENDS)
    for text in fix:
        match = _FIXED.fullmatch(text)
        if match is None:
            raise AccelsimError(f"expected a name and a width such as first=8, got {text}", field="--fix")
        if match[2] == "open":
            if match[1] not in FIXED_AT_ENDS:
                raise AccelsimError(f"expected one of {', '.join(FIXED_AT_ENDS)} to be open, since all others are, got "
                                    f"{text}", field="--fix")
            fixed.pop(match[1], None)
        else:
            fixed[match[1]] = int(match[2])
    ties = tuple(tuple(filter(None, map(str.strip, text.split(",")))) for text in tie)
    for names, text in zip(ties, tie, strict=True):
        if len(set(names)) < 2:
            raise AccelsimError(f"expected at least two names such as conv1,conv2, got {text}", field="--tie")
    return SpaceOptions(_widths(weight_bits, "--weights"), _widths(activation_bits, "--activations"),
                        () if accumulators is None else _widths(accumulators, "--accumulators"), fixed, ties, is_joined)


def _widths(text: str, option: str) -> tuple[int, ...]:
    if not _WIDTHS.fullmatch(text):
        raise AccelsimError(f"expected widths such as 2,4,8, got {text}", field=option)
    return tuple(sorted({int(bits) for bits in text.split(",")}))


def _print(outcome: Outcome) -> None:
    from accelsim.report.search_report import contenders_table, layers_table, search_findings

    print_table(lambda width: contenders_table(outcome))
    print_text("")
    print_table(lambda width: layers_table(outcome, width))
    for finding in search_findings(outcome):
        print_text(finding)
