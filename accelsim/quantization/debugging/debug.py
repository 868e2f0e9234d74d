"""From a network that lost accuracy to the quantizers that cost it (white paper, arXiv 2106.08295, section 3.7)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.quantization.bit_policy import BitPolicy
from accelsim.quantization.calibration_set import Batch, Source
from accelsim.quantization.debugging.channel_ranges import ChannelRanges
from accelsim.quantization.debugging.debug_result import (
    ACTIVATIONS,
    ALL,
    FLOAT,
    WEIGHTS,
    WIDE,
    DebuggedLayer,
    DebuggedTensor,
    DebugResult,
    Remedy,
)
from accelsim.quantization.debugging.noise_ratio import NoiseRatio
from accelsim.quantization.debugging.output_score import OutputScore, OutputScorer
from accelsim.quantization.debugging.remedies import Change, changes
from accelsim.quantization.debugging.switched_network import SwitchedNetwork
from accelsim.quantization.debugging.wide_quantizers import with_wide_quantizers
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.float_session import FloatSession
from accelsim.quantization.labelled_set import LabelledSet
from accelsim.quantization.quantize import quantize
from accelsim.quantization.quantized_model import QuantizedModel
from accelsim.quantization.recipe import NONE, Recipe
from accelsim.quantization.stepped_network import segments_of

#: Told steps that are done, all of them as far as that is known, and what is being done.
Told = Callable[[int, int, str], None]

#: A batch with the float network's outputs and the labels.
_Scored = tuple[Batch, dict[str, NDArray[Any]], NDArray[np.int64] | None]

#: Samples for which each quantizer is looked at alone.
LAYER_SAMPLES = 64


def debug(model: FloatModel, data: Source, policy: BitPolicy | None = None, *, recipe: Recipe | None = None,
          evaluation: Source | None = None, layer_samples: int = LAYER_SAMPLES, told: Told | None = None) -> DebugResult:
    """Quantizes a network and looks for what the quantizers do to it, one after the other.

    Parameters
    ----------
    model : in floating point.
    data : to calibrate on (`CalibrationSet`).
    policy : widths, schemes, range setters by layer.
    recipe : steps that prepare the network; none if None, so that the remedies tell what each of them would bring.
    evaluation : samples that the scores are made of, with labels if they are known (`LabelledSet`); `data` if left out.
    layer_samples : how many of them each quantizer is looked at with.

    Raises
    ------
    WorkloadError, QuantizationError : what `quantize` raises; ranges that are found during the run.
    """
    policy, recipe = policy or BitPolicy(), recipe or NONE
    steps = _Steps(told)
    steps.told("quantizing")
    quantized = quantize(model, data, policy, recipe=recipe)
    outputs = FloatSession(model, model.outputs)
    scored = [(batch, outputs.run(batch), labels)
              for batch, labels in LabelledSet(data if evaluation is None else evaluation, model)]
    few = _first(scored, layer_samples)
    network = SwitchedNetwork(quantized)
    scores = _scores(quantized, network, scored, steps)
    layers = _layers(quantized, network, few, steps)
    result = DebugResult(model.name, policy.name, recipe.name, _count(scored), _count(few), scores, layers, (),
                         model.fingerprint)
    attempt = partial(_attempt, model, data, policy, recipe)
    return replace(result, remedies=_remedies(attempt, quantized, recipe, result, scored, steps))


class _Steps:
    """What a progress bar is told."""

    def __init__(self, told: Told | None) -> None:
        self._told, self._done = told, 0

    def told(self, what: str) -> None:
        if self._told is not None:
            self._told(self._done, self._done + 1, what)
        self._done += 1


def _count(scored: Sequence[_Scored]) -> int:
    return sum(len(next(iter(batch.values()))) for batch, _, _ in scored)


def _first(scored: Sequence[_Scored], samples: int) -> list[_Scored]:
    """Whole batches, until they have so many samples."""
    found: list[_Scored] = []
    for each in scored:
        if found and _count(found) >= samples:
            break
        found.append(each)
    return found


def _score(run: Callable[[Batch], Mapping[str, NDArray[Any]]], scored: Sequence[_Scored]) -> OutputScore:
    scorer = OutputScorer()
    for batch, real, labels in scored:
        scorer.add(real, run(batch), labels)
    return scorer.score()


def _scores(quantized: QuantizedModel, network: SwitchedNetwork, scored: Sequence[_Scored],
            steps: _Steps) -> dict[str, OutputScore]:
    """The float network's own score, and those of the variants that the white paper compares."""
    steps.told("quantizers of 32 bits")
    wide = SwitchedNetwork(with_wide_quantizers(quantized, [batch for batch, _, _ in scored]))
    scorer = OutputScorer()
    for _, real, labels in scored:
        scorer.add(real, real, labels)
    scores = {FLOAT: scorer.score(),
              WIDE: _score(partial(wide.run, layers=wide.layers, groups=wide.groups), scored)}
    sides: Mapping[str, tuple[Collection[str], Collection[str]]] = {
        ALL: (network.layers, network.groups), WEIGHTS: (network.layers, ()), ACTIVATIONS: ((), network.groups)}
    for name, (layers, groups) in sides.items():
        steps.told(f"quantizers: {name}")
        scores[name] = _score(partial(network.run, layers=layers, groups=groups), scored)
    return scores


def _layers(quantized: QuantizedModel, network: SwitchedNetwork, scored: Sequence[_Scored],
            steps: _Steps) -> tuple[DebuggedLayer, ...]:
    """Every layer, looked at alone and from inside."""
    placement = quantized.placement
    alone: dict[str, float] = {}
    grids: dict[str, float] = {}
    for name in network.layers:
        steps.told(f"weights of {name}")
        alone[name] = _score(partial(network.run, layers=[name]), scored).sqnr_db
    for name in network.groups:
        steps.told(f"activations of {name}")
        grids[name] = _score(partial(network.run, groups=[name]), scored).sqnr_db
    steps.told("inside the network")
    stops = [tensor.name for tensor in placement.tensors]
    inside, ranges = _inside(quantized, stops, scored)
    sources = {stop: segment.sources for stop, segment in segments_of(quantized.model, stops).items()}
    weighted = {layer.name: layer for layer in quantized.model.layers}
    kinds = {layer.name: layer.kind for layer in quantized.model.translation.layers}
    seen: set[str] = set()
    found = []
    for tensor in [each.name for each in placement.tensors if each.layer]:
        name, group = placement.layer_of(tensor), placement.group_of(tensor).name
        own = quantized.weights.get(name)
        is_first = group not in seen  # later tensors of a group have its grid already
        seen.add(group)
        read = [inside[each] for each in sources.get(tensor, ())]
        grid = quantized.grid_of(tensor)
        found.append(DebuggedLayer(
            name, kinds.get(name, "input"),
            weight_bits=None if own is None else own.bits,
            output_bits=quantized.choices[group].scheme.bits if is_first else None,
            weights_db=alone.get(name),
            output_db=grids.get(group) if is_first else None,
            inside_db=inside[tensor].db,
            drop_db=min(ratio.db for ratio in read) - inside[tensor].db if read else None,
            weights=None if own is None else _debugged(_channels_of(weighted[name]), own.qparams),
            output=None if grid is None else _debugged(ranges[tensor], grid)))
    return tuple(found)


def _inside(quantized: QuantizedModel, tensors: Sequence[str],
            scored: Sequence[_Scored]) -> tuple[dict[str, NoiseRatio], dict[str, ChannelRanges]]:
    """With everything quantized: how far each tensor is from the float network's; and what channels the latter has."""
    real = FloatSession(quantized.model, tensors)
    network = SwitchedNetwork(quantized, tensors)
    inside = {tensor: NoiseRatio() for tensor in tensors}
    ranges: dict[str, ChannelRanges] = {}
    for batch, _, _ in scored:
        values = real.run(batch)
        rounded = network.run(batch, layers=network.layers, groups=network.groups)
        for tensor in tensors:
            inside[tensor].add(values[tensor], rounded[tensor])
            own = ChannelRanges.of(values[tensor], axis=1 if values[tensor].ndim == 4 else -1)
            ranges[tensor] = ranges[tensor].joined(own) if tensor in ranges else own
    return inside, ranges


def _channels_of(layer: FloatLayer) -> ChannelRanges:
    """The output channels of a layer's weights."""
    return ChannelRanges.of(layer.weights.reshape(layer.channels, -1), axis=0)


def _debugged(ranges: ChannelRanges, grid: QParams) -> DebuggedTensor:
    """The channels against the range that the grid reaches."""
    ends = [(limit - grid.zero_point) * grid.scale for limit in (grid.qtype.min, grid.qtype.max)]
    return DebuggedTensor(ranges, float(np.min(ends[0])), float(np.max(ends[1])))


def _attempt(model: FloatModel, data: Source, policy: BitPolicy, recipe: Recipe, change: Change) -> QuantizedModel:
    """The network quantized anew, with a change."""
    changed_policy, changed_recipe = change.applied(policy, recipe)
    return quantize(model, data, changed_policy, recipe=changed_recipe)


def _remedies(attempt: Callable[[Change], QuantizedModel], quantized: QuantizedModel, recipe: Recipe, result: DebugResult,
              scored: Sequence[_Scored], steps: _Steps) -> tuple[Remedy, ...]:
    """What the changes for the more harmful side give, each on its own."""
    side = result.culprit
    harmful = [layer for layer in result.layers if (layer.weights_db if side == WEIGHTS else layer.output_db) is not None]
    worst = min(harmful, key=lambda layer: (layer.weights_db if side == WEIGHTS else layer.output_db) or 0.0, default=None)
    found = []
    for change in changes(quantized, recipe, side, worst):
        steps.told(f"trying {change.name}")
        changed = SwitchedNetwork(attempt(change))
        score = _score(partial(changed.run, layers=changed.layers, groups=changed.groups), scored)
        found.append(Remedy(*change, score))
    return tuple(found)
