"""Grids of activations and of constants that are read beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.quantization.bit_policy import ActivationChoice
from accelsim.quantization.calibration import Told, observed_ranges
from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.clip import NO_CLIP, RELU, Clip
from accelsim.quantization.correction.channel_moments import channel_moments
from accelsim.quantization.correction.clipped_normal import Moments
from accelsim.quantization.float_layer import clip_bounds
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placement import Placement, QuantizerGroup
from accelsim.quantization.quantized_model import QuantizedOperand
from accelsim.quantization.ranges.batch_norm_statistics import BatchNormStatistics
from accelsim.quantization.ranges.known_range import KnownRange
from accelsim.quantization.ranges.observer import Observer, Range
from accelsim.quantization.resolved_policy import ResolvedPolicy
from accelsim.quantization.scheme import Scheme


class ActivationGrids(NamedTuple):
    """Grids of groups, and the schemes of those whose range is found during the run."""

    grids: dict[str, QParams]
    dynamic: dict[str, Scheme]


def activation_grids(model: FloatModel, placement: Placement, choices: ResolvedPolicy, data: CalibrationSet | None,
                     told: Told | None = None) -> ActivationGrids:
    """The grid of every group: fixed, from statistics, or from the ranges that a calibration set shows.

    Raises
    ------
    WorkloadError : no calibration set where one is needed, and what it raises; tensors without the statistics that their
        range setter takes; ranges that the scheme cannot hold.
    """
    ranges: dict[str, Range] = {}
    observers: dict[str, Observer] = {}
    fixed: dict[str, QParams] = {}
    dynamic: dict[str, Scheme] = {}
    moments: dict[str, Moments] = {}
    for group in placement.groups.values():
        choice = choices.activations[group.name]
        try:
            if group.fixed is not None:
                fixed[group.name] = group.fixed.qparams(choice.scheme)
            elif choice.scheme.is_dynamic:
                dynamic[group.name] = choice.scheme
            elif isinstance(choice.setter, KnownRange):
                ranges[group.name] = choice.setter.range
            elif isinstance(choice.setter, BatchNormStatistics):
                moments = moments or channel_moments(model)
                ranges[group.name] = _range_of_statistics(group, choice.setter, choice.scheme, model, moments,
                                                          has_data=data is not None)
            else:
                observers[group.name] = choice.setter.observer(choice.scheme)
        except NumericsError as error:
            raise model.error(error.problem, f'tensor "{group.name}"') from None
    if observers and data is None:
        setter = choices.activations[next(iter(observers))].setter
        raise model.error(f"expected a calibration set, from which {setter.name} takes the ranges of activations, got none")
    if data is not None:
        ranges |= observed_ranges(model, observers, placement.groups, data, told)
    grids = fixed | {name: _grid(name, found, choices.activations[name], model) for name, found in ranges.items()}
    return ActivationGrids({name: grids[name] for name in placement.groups if name in grids}, dynamic)


def _grid(name: str, found: Range, choice: ActivationChoice, model: FloatModel) -> QParams:
    try:
        return choice.scheme.qparams(*found)
    except NumericsError as error:
        raise model.error(error.problem, f'tensor "{name}"') from None


def _range_of_statistics(group: QuantizerGroup, setter: BatchNormStatistics, scheme: Scheme, model: FloatModel,
                         moments: Mapping[str, Moments], *, has_data: bool) -> Range:
    """The range of tensors whose mean and deviation follow from batch normalizations, limited by their activations."""
    layers = {layer.activated: layer for layer in model.layers}
    ends = []
    for tensor in group.owners:
        if tensor in layers:
            source, clip = layers[tensor].output, layers[tensor].clip
        else:
            source, clip = _before_clamp(tensor, model)
        if source not in moments:
            way_out = "choose" if has_data else "give a calibration set, or choose"
            raise model.error(f"expected the statistics of a batch normalization for {setter.name}, got a tensor without "
                              f"one; {way_out} another range setter for it", f'tensor "{tensor}"')
        known = moments[source]
        ends.append(setter.range_from(known.mean, np.sqrt(known.variance), scheme, floor=float(np.min(clip.low)),
                                      ceiling=float(np.max(clip.high))))
    return np.minimum.reduce([low for low, _ in ends]), np.maximum.reduce([high for _, high in ends])


def _before_clamp(tensor: str, model: FloatModel) -> tuple[str, Clip]:
    """What a clamp behind a layer without weights reads, and its limits; any other tensor as it is."""
    node = model.writer(tensor)
    if node is not None and node.op == "Relu":
        return node.inputs[0], RELU
    if node is not None and node.op == "Clip":
        low, high = clip_bounds(node, model)
        return node.inputs[0], Clip(low=low, high=high)
    return tensor, NO_CLIP


def quantized_constants(model: FloatModel, placement: Placement, choices: ResolvedPolicy,
                        grids: Mapping[str, QParams]) -> dict[tuple[str, int], QuantizedOperand]:
    """Constants that layers read beside activations, on the grid of these or on that of their own extremes.

    Raises
    ------
    WorkloadError : constants that are not finite, or that the scheme cannot hold.
    """
    found = {}
    for constant in placement.constants:
        array = model.arrays[constant.name]
        try:
            grid = grids.get(constant.group) or choices.constants[constant.layer].scheme.qparams(array.min(), array.max())
            found[constant.node, constant.position] = QuantizedOperand(grid, grid.quantize(array))
        except NumericsError as error:
            raise model.error(error.problem, constant.name) from None
    return found
