"""Biases of 0 for layers that have none, so that a correction has a place to go to."""

from __future__ import annotations

import numpy as np

from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.preparation.edited import Edited
from accelsim.quantization.weight_rounding import has_place_for_bias


def add_biases(model: FloatModel) -> Edited:
    """The network in which every layer has a bias that can have one."""
    bare = [layer for layer in model.layers if layer.bias is None and has_place_for_bias(layer)]
    for layer in bare:
        model = layer.edited(model, bias=np.zeros(layer.channels, np.float32))
    return Edited(model, (f"{', '.join(layer.name for layer in bare)}: given a bias of 0, to be corrected",) if bare else ())
