"""What debugging found out, in words and cells: ratios, shares, sentences."""

from __future__ import annotations

import math

from accelsim.quantization.debugging.debug_result import (
    ACTIVATIONS,
    ALL,
    FLOAT,
    SANE_DB,
    WEIGHTS,
    WIDE,
    DebuggedLayer,
    DebugResult,
)
from accelsim.quantization.debugging.output_score import OutputScore

#: Variant -> what tables and figures call it.
VARIANTS = {FLOAT: "float network", WIDE: "quantizers of 32 bits", ALL: "as the policy says", WEIGHTS: "its weights alone",
            ACTIVATIONS: "its activations alone"}

#: Layers that sentences name.
NAMED = 3


def ratio_text(ratio: float | None) -> str:
    """A ratio in decibels as a cell.

    >>> [ratio_text(ratio) for ratio in (None, 31.25, float("inf"), float("-inf"))]
    ['–', '31.2', 'exact', 'lost']
    """
    if ratio is None:
        return "–"
    return f"{ratio:.1f}" if math.isfinite(ratio) else "exact" if ratio > 0 else "lost"


def percent_text(share: float | None) -> str:
    """A share of samples as a cell.

    >>> percent_text(0.99333), percent_text(None)
    ('99.33 %', '–')
    """
    return "–" if share is None else f"{100 * share:.2f} %"


def bits_text(layer: DebuggedLayer) -> str:
    """Widths of what a layer has quantizers for: weights/output."""
    return "/".join("–" if bits is None else str(bits) for bits in (layer.weight_bits, layer.output_bits))


def debug_findings(result: DebugResult) -> list[str]:
    """What the white paper's questions come out as; every number in them is the result's."""
    return [_sanity(result), _harm(result), *_worst(result), *_channels(result), _remedy(result)]


def _sanity(result: DebugResult) -> str:
    found = ratio_text(result.scores[WIDE].sqnr_db)
    if result.is_sane:
        return (f"With quantizers of 32 bits the outputs are the float network's ({found} dB): preparation and placement "
                "are right.")
    return (f"With quantizers of 32 bits the outputs differ from the float network's ({found} dB, expected {SANE_DB:.0f}): "
            "preparation or placement change the function, whatever the widths.")


def _harm(result: DebugResult) -> str:
    every, weights, activations = (ratio_text(result.scores[name].sqnr_db) for name in (ALL, WEIGHTS, ACTIVATIONS))
    return (f"With all quantizers the outputs keep {every} dB{_accuracy_text(result.scores[ALL])}; quantized weights alone "
            f"leave {weights} dB, quantized activations alone {activations} dB: the {result.culprit} cost more.")


def _accuracy_text(score: OutputScore) -> str:
    if score.accuracy is not None:
        return f" and are right on {percent_text(score.accuracy)} of the samples"
    if score.agreement is None:
        return ""
    return f" and the float network's class on {percent_text(score.agreement)} of the samples"


def _worst(result: DebugResult) -> list[str]:
    worst = result.worst[:NAMED]
    if not worst:
        return []
    parts = []
    for layer in worst:
        is_weights = layer.weights_db is not None and layer.weights_db == layer.worst_db
        parts.append(f"{layer.name} ({'weights' if is_weights else 'output'}, {ratio_text(layer.worst_db)} dB)")
    return [f"The quantizers that cost most, each on its own: {', '.join(parts)}."]


def _channels(result: DebugResult) -> list[str]:
    """Where the channels of one layer's weights differ most, if they do."""
    spread = {layer.name: layer.weights.ranges.spread for layer in result.layers if layer.weights is not None}
    widest = max(spread, key=lambda name: spread[name], default=None)
    if widest is None or spread[widest] < _UNEVEN:
        return []
    ratio = f"{spread[widest]:,.0f} times" if math.isfinite(spread[widest]) else "infinitely"
    return [f"The channels of {widest} differ: the widest reaches {ratio} as far as the middle one. Scales by channel or "
            "cross-layer equalization suit such weights."]


#: From here on one scale for all channels wastes more than two bits on half of them.
_UNEVEN = 4.0


def _remedy(result: DebugResult) -> str:
    best = result.recommended
    if best is None:
        return ("None of the changes that were tried gains half a bit; what is left are wider layers, or training with "
                "quantizers.")
    gain = best.score.sqnr_db - result.scores[ALL].sqnr_db
    cost = " at the cost of width" if best.has_more_bits else ""
    more = "" if best.score.accuracy is None else f", accuracy {percent_text(best.score.accuracy)}"
    return f"Recommended: {best.name}; on the whole network it gains {gain:.1f} dB{more}{cost}."
