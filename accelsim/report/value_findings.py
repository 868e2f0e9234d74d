"""What the integers of a run say, in plain sentences; every number in them is computed from the result."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.report.observed_layers import (
    ObservedLayer,
    is_trial,
    observed_layers,
    overflows_of,
    trials_of,
    tried_widths,
    widths_of,
)
from accelsim.report.palette import PLACES
from accelsim.report.wording import exact_share_text, place_label, registers_text
from accelsim.results.network_result import NetworkResult
from accelsim.results.overflow import Overflows


def value_findings(result: NetworkResult) -> list[str]:
    """Overflows and widths; nothing for a run without integers."""
    layers = observed_layers(result) if result.has_values else []
    if not layers:
        return ["No layer runs on the PE grid, so there are no accumulators to overflow."] if result.has_values else []
    own = [] if is_trial(layers) else [_overflows(result, layers), _cancelled(result, layers)]
    return [sentence for sentence in (*own, _safe_widths(layers), _trials(layers)) if sentence]


def carried_sentence(result: NetworkResult) -> str:
    """What the run carried, and by which rule it was requantized."""
    samples = "one sample" if result.samples == 1 else f"{result.samples:,} samples"
    sentence = f"The run carried the integers of {samples} and requantized them by the rule {result.rounding}"
    own = result.accelerator.requantizer.scheme
    sentence += "." if own == result.rounding else f", the model's; the accelerator's own is {own}."
    if not is_trial(observed_layers(result)):
        return sentence
    return f"{sentence} Its accumulators were as wide as it takes; other widths were tried beside them, layer by layer."


def _overflows(result: NetworkResult, layers: Sequence[ObservedLayer]) -> str:
    """How many layers overflow, where, and what it hits; or what proves that none does."""
    total = overflows_of(layers)
    if not total.count:
        return f"{_nothing(result)} {_proof(layers)}"
    hit = [layer for layer in layers if layer.overflows.count]
    overflow = "overflows" if len(hit) == 1 else "overflow"
    sums = "1 partial sum does" if total.count == 1 else f"{total.count:,} partial sums do"
    are = "output is" if total.outputs == 1 else "outputs is" if total.outputs_hit == 1 else "outputs are"
    sentence = (
        f"{len(hit)} of {_layers(len(layers))} on the PE grid {overflow}: {sums} not fit into "
        f"{registers_text(result.accelerator)} ({_places(total)}), and {total.outputs_hit:,} of {total.outputs:,} {are} hit "
        f"({exact_share_text(total.outputs_hit, total.outputs)})"
    )
    worst = max(hit, key=lambda layer: layer.overflows.share)
    share = exact_share_text(worst.overflows.outputs_hit, worst.overflows.outputs)
    return f"{sentence}." if len(hit) == 1 else f"{sentence}; {worst.name} is hit most, in {share} of its outputs."


def _places(overflows: Overflows) -> str:
    """Where they happened, each with its number if there are several places."""
    if len(overflows.by_place) == 1:
        return f"in the {place_label(next(iter(overflows.by_place)))}"
    found = [place for place in PLACES if place in overflows.by_place]
    *others, last = [f"{overflows.by_place[place]:,} in the {place_label(place)}" for place in found]
    return f"{', '.join(others)} and {last}"


def _nothing(result: NetworkResult) -> str:
    bits, wires = result.accelerator.accumulators.bits, result.accelerator.partial_sum_bits
    registers = f"{bits}-bit accumulators" + (f" and {wires}-bit wires" if wires != bits else "")
    return f"No partial sum overflows: all of them fit into {registers}."


def _proof(layers: Sequence[ObservedLayer]) -> str:
    proven = sum(layer.is_proven for layer in layers)
    if proven == len(layers):
        return "The weights prove that no other inputs can overflow them either."
    if not proven:
        return "The weights do not prove it for other inputs."
    return f"In {proven} of {_layers(len(layers))} the weights prove it for any inputs."


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _cancelled(result: NetworkResult, layers: Sequence[ObservedLayer]) -> str:
    """Wrapping registers: sums modulo 2^bits come back where the last one fits."""
    accelerator = result.accelerator
    bits = accelerator.accumulators.bits
    hit = [layer for layer in layers if layer.overflows.count]
    if not hit or accelerator.accumulators.overflow != "wrap" or accelerator.partial_sum_bits < bits:
        return ""
    right = sum(layer.widths.final_bits <= bits for layer in hit)
    if right == len(hit):
        them = "its" if right == 1 else "their"
        return f"No output changes by it: the registers wrap, and {them} last sums fit again."
    return (
        f"The registers wrap, so {right} of the {len(hit)} layers that overflow end with the right sums all the same."
        if right
        else ""
    )


def _safe_widths(layers: Sequence[ObservedLayer]) -> str:
    """One width for every layer."""
    widths = widths_of(layers)
    every = "The layer" if len(layers) == 1 else "Every layer"
    safe = f"{every} would be safe at {widths.running_bits} bits with these inputs"
    if widths.worst_case_bits > widths.running_bits:
        safe += f" and at {widths.worst_case_bits} bits with any"
    else:
        safe += " and with any others"
    if widths.final_bits == widths.running_bits:
        return f"{safe}."
    return f"{safe}; accumulators of {widths.final_bits} bits that wrap, with wires as wide, would give the same outputs."


def _trials(layers: Sequence[ObservedLayer]) -> str:
    """Down to which width no output is wrong, and what the next one costs."""
    trials = [trial for bits in tried_widths(layers) if (trial := trials_of(layers, bits)) is not None]
    wrong = next((place for place, trial in enumerate(trials) if trial.wrong_outputs), len(trials))
    if not trials:
        return ""
    if wrong == len(trials):
        return f"No tried width makes an output wrong, down to {trials[-1].bits} bits."
    first = trials[wrong]
    share = exact_share_text(first.wrong_outputs, first.outputs)
    wrong_ones = f"{first.wrong_outputs:,} of {first.outputs:,} outputs ({share})"
    cost = f"{wrong_ones} {'is' if first.wrong_outputs == 1 else 'are'} wrong, by {first.largest_error} LSB at most"
    if not wrong:
        return f"Even at {first.bits} bits, the widest that was tried, {cost}."
    safe = f"Of the widths tried, those down to {trials[wrong - 1].bits} bits give no wrong output"
    return f"{safe}; at {first.bits} bits {cost}."
