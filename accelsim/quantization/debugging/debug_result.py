"""What debugging found out about a quantized network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from accelsim.quantization.debugging.channel_ranges import ChannelRanges
from accelsim.quantization.debugging.output_score import OutputScore
from accelsim.version import __version__

#: Below this the network with 32-bit quantizers is not the float network: float32 keeps 24 bits, 6 dB each, and a deep
#: network's sums lose some of them.
SANE_DB = 80.0

#: Variants: the float network, quantizers of 32 bits, all quantizers, those of constants, those of activations.
FLOAT, WIDE, ALL, WEIGHTS, ACTIVATIONS = "float", "32 bits", "all", "weights", "activations"


#: Where a remedy is written down.
Place = Literal["policy", "recipe"]
POLICY, RECIPE = get_args(Place)


@dataclass(frozen=True, eq=False)
class DebuggedTensor:
    """Channels of one tensor, and the range of its grid.

    Parameters
    ----------
    ranges : of the channels.
    low, high : of the grid; the widest channel's, where each has its own.
    """

    ranges: ChannelRanges
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class DebuggedLayer:
    """One layer.

    Parameters
    ----------
    name, kind : of the layer; for an input of the network "input".
    weight_bits, output_bits : None where it has no weights, or writes no grid of its own.
    weights_db : SQNR of the network's outputs with this layer's constants quantized and nothing else.
    output_db : the same with the activations on the grid that it writes.
    inside_db : SQNR of what it writes, with everything quantized.
    drop_db : by how much that is worse than the worst of what it reads.
    weights, output : ranges of channels.
    """

    name: str
    kind: str
    weight_bits: int | None = None
    output_bits: int | None = None
    weights_db: float | None = None
    output_db: float | None = None
    inside_db: float | None = None
    drop_db: float | None = None
    weights: DebuggedTensor | None = None
    output: DebuggedTensor | None = None

    @property
    def worst_db(self) -> float:
        """The lower of the outputs' ratios; infinite without quantizers."""
        return min((ratio for ratio in (self.weights_db, self.output_db) if ratio is not None), default=math.inf)

    def to_dict(self) -> dict[str, Any]:
        """A flat record: one row of layers.csv. Ratios that are infinite are None."""
        tensors = {"weight": self.weights, "output": self.output}
        return {
            "layer": self.name, "kind": self.kind, "weight_bits": self.weight_bits, "output_bits": self.output_bits,
            **{name: _finite(getattr(self, name)) for name in ("weights_db", "output_db", "inside_db", "drop_db")},
            **{f"{name}_channel_spread": None if tensor is None else _finite(tensor.ranges.spread)
               for name, tensor in tensors.items()}}


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change that was tried on the whole network.

    Parameters
    ----------
    name : what it is, for people.
    place : where to write it: a rule behind those of the policy, or keys of the recipe.
    change : what to write, as plain data.
    has_more_bits : whether it costs width.
    score : of the network with all of its quantizers.
    """

    name: str
    place: Place
    change: Mapping[str, Any]
    has_more_bits: bool
    score: OutputScore


@dataclass(frozen=True, eq=False)
class DebugResult:
    """Everything, for tables, figures and files.

    Parameters
    ----------
    network, policy, recipe : their names.
    samples : that scores are made of.
    layer_samples : that ratios by layer are made of.
    scores : by variant.
    layers : inputs of the network and its layers, in the order of execution.
    remedies : that were tried, in the order of the white paper's figure 9.
    fingerprint : of the float network.
    """

    network: str
    policy: str
    recipe: str
    samples: int
    layer_samples: int
    scores: Mapping[str, OutputScore]
    layers: tuple[DebuggedLayer, ...]
    remedies: tuple[Remedy, ...]
    fingerprint: str

    @property
    def is_sane(self) -> bool:
        """Whether quantizers of 32 bits reproduce the float network."""
        return self.scores[WIDE].sqnr_db >= SANE_DB

    @property
    def culprit(self) -> str:
        """`WEIGHTS` or `ACTIVATIONS`: the side that alone does more harm."""
        return min((WEIGHTS, ACTIVATIONS), key=lambda side: self.scores[side].sqnr_db)

    @property
    def worst(self) -> tuple[DebuggedLayer, ...]:
        """Layers with a quantizer, the most harmful first."""
        return tuple(sorted((layer for layer in self.layers if math.isfinite(layer.worst_db)),
                            key=lambda layer: layer.worst_db))

    @property
    def recommended(self) -> Remedy | None:
        """The remedy that gives the best outputs, one without more bits if that gains `LEAST_GAIN_DB`; None if none does."""
        before = self.scores[ALL].sqnr_db
        for more_bits in (False, True):
            tried = [remedy for remedy in self.remedies if remedy.has_more_bits == more_bits]
            best = max(tried, key=lambda remedy: remedy.score.sqnr_db, default=None)
            if best is not None and best.score.sqnr_db >= before + LEAST_GAIN_DB:
                return best
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        best = self.recommended
        return {
            "accelsim_version": __version__, "network": self.network, "network_fingerprint": self.fingerprint,
            "policy": self.policy, "recipe": self.recipe,
            "samples": self.samples, "layer_samples": self.layer_samples,
            "is_sane": self.is_sane, "scores": {name: _score(score) for name, score in self.scores.items()},
            "layers": [layer.to_dict() for layer in self.layers],
            "remedies": [{"name": each.name, each.place: dict(each.change), "has_more_bits": each.has_more_bits,
                          **_score(each.score)} for each in self.remedies],
            "recommended": None if best is None else best.name}


#: What a remedy has to gain to be recommended: half a bit.
LEAST_GAIN_DB = 3.0


def _score(score: OutputScore) -> dict[str, Any]:
    return {**asdict(score), "sqnr_db": _finite(score.sqnr_db)}


def _finite(ratio: float | None) -> float | None:
    return None if ratio is None or not np.isfinite(ratio) else ratio
