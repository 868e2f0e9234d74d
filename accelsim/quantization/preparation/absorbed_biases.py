"""High-bias absorption in a network: what a channel never falls below moves behind the next layer.

Pairs of layers with padding between them stay as they are: border windows would see 0 in place of what was taken off.

References
----------
White paper (arXiv 2106.08295) section 3.2, equation 24; Nagel et al. 2019 (arXiv 1906.04721), section 4.1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.channel_statistics import ChannelStatistics
from accelsim.quantization.correction.bias_absorption import (
    absorbed,
    absorption_amounts,
    observed_absorption_amounts,
)
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.preparation.channel_extremes import Doubles, Extremes, output_extremes
from accelsim.quantization.preparation.edited import Edited
from accelsim.quantization.preparation.layer_links import LayerLink, layer_links
from accelsim.quantization.weight_rounding import has_place_for_bias


def absorb_biases(model: FloatModel, data: CalibrationSet | None = None) -> Edited:
    """The network with absorbed biases.

    Parameters
    ----------
    model : with folded batch normalizations, best equalized before.
    data : shows what channels never fall below; without it three deviations of their batch normalization count as never,
        and layers without one are left.

    Raises
    ------
    WorkloadError : what the set raises.
    """
    links = [link for link in layer_links(model) if not link.is_padded and link.first.bias is not None
             and has_place_for_bias(link.second)]
    seen = {} if data is None or not links else output_extremes(model, [link.first for link in links], data)
    remarks = []
    biases: dict[str, Doubles] = {}
    statistics: dict[str, ChannelStatistics] = {}
    for link in links:
        amounts = _amounts(link, model, seen)
        if amounts is None or not amounts.any():
            continue
        first, second = link.first, link.second
        assert first.bias is not None
        own = biases.get(first.name, first.bias.astype(np.float64))
        zeros = np.zeros(second.channels)
        other = biases.get(second.name, zeros if second.bias is None else second.bias.astype(np.float64))
        biases[first.name], biases[second.name] = absorbed(amounts, own, second.weights, other)
        known = model.statistics.get(first.output)
        if known is not None:
            statistics[first.output] = ChannelStatistics(known.mean - amounts, known.std)
        remarks.append(f"{first.name} -> {second.name}: bias of {int(np.count_nonzero(amounts))} channels absorbed, "
                       f"{amounts.max():.3g} at most")
    edited = model
    for layer in model.layers:
        if layer.name in biases:
            edited = layer.edited(edited, bias=biases[layer.name])
    return Edited(replace(edited, statistics={**edited.statistics, **statistics}), tuple(remarks))


def _amounts(link: LayerLink, model: FloatModel, seen: dict[str, Extremes]) -> Doubles | None:
    first = link.first
    if first.name in seen:
        return observed_absorption_amounts(*seen[first.name], first.clip)
    known = model.statistics.get(first.output)
    return None if known is None else absorption_amounts(known.mean, known.std, first.clip)
