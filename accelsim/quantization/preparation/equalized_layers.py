"""Cross-layer equalization of a network: its function stays, the ranges of its layers' channels become alike.

Pairs of layers, and chains with depthwise layers in the middle, are taken one after the other, and again until their factors
are near 1, as a layer belongs to the pair before it and to the one behind.

Where the activation between two layers is a clip with other limits than 0 (ReLU6), factors are held back so that it may
stay what it is (`restricted_factors`): as far as its inputs lie between the extremes that data show, or six deviations of
the batch normalization, the function is the same. Where neither is known the two are not equalized.

References
----------
White paper (arXiv 2106.08295) section 3.2; Nagel et al. 2019 (arXiv 1906.04721), section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.channel_statistics import ChannelStatistics
from accelsim.quantization.clip import Clip
from accelsim.quantization.equalization.cross_layer import (
    divided_outputs,
    equalizing_factors,
    input_ranges,
    multiplied_inputs,
    output_ranges,
    restricted_factors,
)
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.preparation.channel_extremes import output_extremes
from accelsim.quantization.preparation.edited import Edited
from accelsim.quantization.preparation.layer_links import LayerLink, is_depthwise, layer_chains, layer_links

Doubles = NDArray[np.float64]

#: Whether layers in a chain are to be equalized.
Wanted = Callable[[Sequence[FloatLayer]], bool]

# Pairs one behind the other share layers and settle geometrically: twenty rounds leave no factor beyond a percent of 1 in
# networks of any length that was tried.
_MOST_ROUNDS = 20
_SETTLED = 0.01


def equalize_layers(model: FloatModel, data: CalibrationSet | None = None, *, wanted: Wanted | None = None) -> Edited:
    """The network with equalized layers.

    Parameters
    ----------
    model : with folded batch normalizations.
    data : what shows how far clips with other limits than 0 are reached.
    wanted : told the layers of a chain; None takes all.

    Raises
    ------
    WorkloadError : what the set raises.
    """
    chains = layer_chains(layer_links(model))
    chosen = [chain for chain in chains if wanted is None or wanted([link.first for link in chain] + [chain[-1].second])]
    return _Equalization(model, chosen, data).edited()


class _Equalization:
    """The state of one equalization."""

    def __init__(self, model: FloatModel, chains: Sequence[tuple[LayerLink, ...]], data: CalibrationSet | None) -> None:
        self._model = model
        limited = {link.first.name: link.first for chain in chains for link in chain if _has_limits(link.first.clip)}
        self._extremes = output_extremes(model, limited.values(), data) if limited else {}
        self._left = [link for chain in chains for link in chain if self._is_unknown(link)]
        self._chains = [part for chain in chains for part in self._parts(chain)]
        self._layers = {layer.name: layer for chain in self._chains for link in chain for layer in (link.first, link.second)}
        self._weights = {name: layer.weights.astype(np.float64) for name, layer in self._layers.items()}
        self._factors = {link.first.name: np.ones(link.channels) for chain in self._chains for link in chain}

    def _is_unknown(self, link: LayerLink) -> bool:
        return _has_limits(link.first.clip) and link.first.name not in self._extremes

    def _parts(self, chain: tuple[LayerLink, ...]) -> list[tuple[LayerLink, ...]]:
        """A chain, cut where a clip would have to move and nobody knows how far it is reached."""
        parts: list[list[LayerLink]] = [[]]
        for link in chain:
            if self._is_unknown(link):
                parts.append([])
            else:
                parts[-1].append(link)
        return [tuple(part) for part in parts if part]

    def edited(self) -> Edited:
        for _ in range(_MOST_ROUNDS):
            moved = max((self._equalize(chain) for chain in self._chains), default=0.0)
            if moved < _SETTLED:
                break
        model = self._model
        for name, layer in self._layers.items():
            bias = None
            if name in self._factors and layer.bias is not None:
                bias = layer.bias / self._factors[name]
            model = layer.edited(model, weights=self._weights[name], bias=bias)
        return Edited(replace(model, statistics={**model.statistics, **self._statistics()}), tuple(self._remarks()))

    def _equalize(self, chain: tuple[LayerLink, ...]) -> float:
        """One round of a chain; the largest logarithm of a factor."""
        first, weights, channels = chain[0].first, self._weights, chain[0].channels
        ranges = [output_ranges(weights[first.name])]
        ranges += [input_ranges(weights[link.second.name], channels) for link in chain]
        moved = 0.0
        for link, factors in zip(chain, equalizing_factors(ranges), strict=True):
            factors = self._held_back(link.first, factors)
            own, other = link.first.name, link.second.name
            weights[own], _ = divided_outputs(weights[own], np.zeros(channels), factors)
            weights[other] = multiplied_inputs(weights[other], factors)
            self._factors[own] = self._factors[own] * factors
            moved = max(moved, float(np.max(np.abs(np.log(factors)))))
        return moved

    def _held_back(self, layer: FloatLayer, factors: Doubles) -> Doubles:
        """Factors that leave a clip where it is."""
        if not _has_limits(layer.clip):
            return factors
        scale = self._factors[layer.name]
        low, high = self._extremes[layer.name]
        return restricted_factors(factors, low / scale, high / scale, layer.clip)

    def _statistics(self) -> dict[str, ChannelStatistics]:
        """Of what is divided now."""
        known = self._model.statistics
        outputs = {name: self._layers[name].output for name in self._factors}
        return {output: ChannelStatistics(known[output].mean / self._factors[name], known[output].std / self._factors[name])
                for name, output in outputs.items() if output in known}

    def _remarks(self) -> list[str]:
        done = []
        for chain in self._chains:
            factors = np.concatenate([self._factors[link.first.name] for link in chain])
            names = " -> ".join([link.first.name for link in chain] + [chain[-1].second.name])
            done.append(f"{names}: channels equalized by factors of {factors.min():.3g} to {factors.max():.3g}")
        return done + [f"{link.first.name} -> {link.second.name}: not equalized, as nothing tells how far its inputs reach "
                       "the Clip between them" for link in self._left]


def has_depthwise(layers: Sequence[FloatLayer]) -> bool:
    """Whether a chain is one of those that equalization matters most for (white paper, section 3.2)."""
    return any(is_depthwise(layer) for layer in layers)


def unevenness(layers: Sequence[FloatLayer]) -> float:
    """The largest factor between two layers of a chain that would equalize them, as a multiple of the smallest."""
    spreads = [1.0]
    for first, second in pairwise(layers):
        factors, = equalizing_factors([output_ranges(first.weights), input_ranges(second.weights, first.channels)])
        spreads.append(float(factors.max() / factors.min()))
    return max(spreads)


def _has_limits(clip: Clip) -> bool:
    """Whether scaling would move a limit."""
    return any(not np.all((limit == 0) | np.isinf(limit)) for limit in (clip.low, clip.high))
