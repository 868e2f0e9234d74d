"""Runs that carry integers: what `simulate --inputs` and `accumulators` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.cli.output import print_table, print_text, progress_bar

if TYPE_CHECKING:
    from accelsim.hardware.accelerator import Accelerator
    from accelsim.mapping.options import MappingOptions
    from accelsim.results.comparison import Difference
    from accelsim.results.network_result import NetworkResult
    from accelsim.simulation import Rounding
    from accelsim.workload.quantized_network import QuantizedNetwork


@dataclass(frozen=True, slots=True)
class Differences:
    """How the run's integers differ from another runtime's, by layer: chained from the inputs, and each layer fed that
    runtime's own inputs."""

    runtime: str
    chained: Mapping[str, Difference]
    fed: Mapping[str, Difference]


def run_integers(
    chip: Accelerator, network: QuantizedNetwork, inputs: Path, *, rounding: Rounding, options: MappingOptions,
    runtime: str | None = None, event_limit: int = 0, records_timeline: bool = False, trial_bits: Sequence[int] = ()
) -> tuple[NetworkResult, Differences | None]:
    """Simulate a network on the arrays of a file; with `runtime`, compare every layer with that."""
    from accelsim.simulation import simulate
    from accelsim.workload.input_values import load_arrays, samples

    arrays = load_arrays(inputs)
    given = samples(network, arrays, file=str(inputs))
    comparison = _Comparisons(chip, network, given, runtime, rounding) if runtime is not None else None
    told = comparison.chained.told if comparison is not None else None
    with progress_bar(network.network.name) as progress:
        result = simulate(
            chip, network, options=options, records_timeline=records_timeline, progress=progress, inputs=arrays,
            rounding=rounding, event_limit=event_limit, trial_bits=trial_bits, told=told)
        if comparison is None:
            return result, None
        simulate(chip, network, options=options, progress=progress, inputs=arrays, rounding=rounding,
                 told=comparison.fed.told, fed=comparison.fed.expected)
    return result, Differences(runtime or "", comparison.chained.differences, comparison.fed.differences)


class _Comparisons:
    """The two comparisons with a runtime, which computes each sample once for both."""

    def __init__(self, chip: Accelerator, network: QuantizedNetwork, given: list[Any], runtime: str,
                 rounding: Rounding) -> None:
        from accelsim.reference.comparison import Comparison
        from accelsim.reference.runtime import runtime_named

        rule = network.rule if rounding == "model" else chip.rule
        reference = runtime_named(runtime, network, scheme=rule.scheme)
        self.chained, self.fed = Comparison(reference, given), Comparison(reference, given)


def print_values(result: NetworkResult, differences: Differences | None) -> None:
    """What the integers did, and how they compare."""
    from accelsim.report.differences_table import differences_table
    from accelsim.report.values_table import values_table

    print_table(lambda width: values_table(result, width=width))
    if differences is None:
        return
    print_table(lambda width: differences_table(differences.chained, differences.fed, width=width))
    wrong = sum(difference.differing for difference in differences.chained.values())
    count = sum(difference.outputs for difference in differences.chained.values())
    print_text(f"{wrong:,} of {count:,} integers differ from {differences.runtime} under {result.rounding}")


def check_document(differences: Differences) -> dict[str, Any]:
    """The comparison as plain data for JSON."""
    return {"runtime": differences.runtime, "layers": [
        {"layer": name, "outputs": found.outputs, "differing": found.differing, "largest": found.largest,
         "differing_fed": differences.fed[name].differing, "largest_fed": differences.fed[name].largest}
        for name, found in differences.chained.items()]}
