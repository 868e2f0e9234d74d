"""The float network and the network quantized so far, side by side on a sample of the calibration set.

What a layer reads in both (x and x^ of white paper, arXiv 2106.08295, equation 35) is what its rounding and the correction
of its bias are judged by. Both networks run tensor by tensor (`SteppedNetwork`): a layer that has been quantized computes
with its integers' real values from then on, and what carries a quantizer is rounded to its grid.

Left out: the requantizer's own rounding; products and sums are those of float32. A range that is found during the run is
that of each sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.qparams import QParams
from accelsim.quantization.calibration_set import Batch, CalibrationSet
from accelsim.quantization.fake_quantization import fake_quantize
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.layer_problem import Rows
from accelsim.quantization.patches import patches, sampled_positions
from accelsim.quantization.placement import Placement
from accelsim.quantization.quantized_model import QuantizedOperand, QuantizedWeights
from accelsim.quantization.scheme import Scheme
from accelsim.quantization.stepped_network import SteppedNetwork, most_elements, segments_of
from accelsim.workload.onnx.products import product_of
from accelsim.workload.operation import Convolution

#: What the samples of both networks may take in memory together.
LARGEST_SAMPLE_BYTES = 1 << 31

_BYTES_OF_A_PAIR = 8


class Lockstep:
    """Both networks; lives as long as layers are quantized.

    Parameters
    ----------
    model : the float network, prepared.
    placement, grids, dynamic, constants : of the quantized one, as `QuantizedModel` has them.
    samples : runs, as `sampled` draws them.
    """

    def __init__(self, model: FloatModel, placement: Placement, grids: Mapping[str, QParams], dynamic: Mapping[str, Scheme],
                 constants: Mapping[tuple[str, int], QuantizedOperand], samples: Sequence[Batch]) -> None:
        self._placement, self._grids, self._dynamic = placement, grids, dynamic
        stops = [tensor.name for tensor in placement.tensors]
        quantized = model
        for (node, position), operand in constants.items():
            values = operand.qparams.dequantize(operand.integers, dtype=np.float32)
            quantized = quantized.with_operand(node, position, values, f"{node}_{position}")
        self._model = model
        self._float = SteppedNetwork(model, stops, samples)
        self._quantized = SteppedNetwork(quantized, stops, samples, self._on_grid)

    def quantize(self, layer: FloatLayer, weights: QuantizedWeights) -> None:
        """From now on the layer computes with these weights and this bias."""
        bias = None
        if weights.bias is not None:
            assert weights.bias_scale is not None
            bias = weights.bias * weights.bias_scale
        self._quantized.model = layer.edited(self._quantized.model, weights=weights.dequantized, bias=bias)

    def rows(self, layer: FloatLayer, count: int, generator: np.random.Generator) -> tuple[Rows, Rows]:
        """The same rows (G, M, K) of what the layer reads in the float and in the quantized network.

        All layers before it are to be quantized, and no layer behind it.

        Parameters
        ----------
        count : M, or fewer where the samples have fewer.
        """
        values = [network.values(layer.input) for network in (self._float, self._quantized)]
        if isinstance(layer.operation, Convolution):
            return self._windows(layer.operation, values, count, generator)
        product = product_of(layer.node, self._model.translation)
        rows = [np.concatenate([product.streamed_as.matrices(each) for each in own], axis=1) for own in values]
        total = rows[0].shape[1]
        chosen = generator.choice(total, size=min(count, total), replace=False)
        return rows[0][:, chosen], rows[1][:, chosen]

    def _windows(self, convolution: Convolution, values: Sequence[Sequence[NDArray[Any]]], count: int,
                 generator: np.random.Generator) -> tuple[Rows, Rows]:
        shape = (-1, convolution.in_channels, *convolution.in_size)
        images = [np.concatenate([each.reshape(shape) for each in own]) for own in values]
        positions = sampled_positions(convolution, images=len(images[0]), rows=count, generator=generator)
        return patches(images[0], convolution, positions), patches(images[1], convolution, positions)

    def _on_grid(self, tensor: str, values: NDArray[Any]) -> NDArray[Any]:
        """A tensor's values on its grid."""
        group = self._placement.group_of(tensor).name
        grid = self._grids.get(group)
        if grid is None:
            if not self._placement.layer_of(tensor):
                return values  # a view of numbers that are on a grid already
            grid = self._dynamic[group].qparams(values.min(), values.max())
        return fake_quantize(values, grid)


def sampled(data: CalibrationSet, model: FloatModel, placement: Placement, count: int,
            generator: np.random.Generator) -> list[Batch]:
    """So many runs of the calibration set, each as likely as any other; fewer where it or memory has fewer.

    Memory holds no more than what is drawn (Vitter 1985, "Random Sampling with a Reservoir", algorithm R). Where the network
    leaves its batch open a run is one sample, else as many as its batch.

    Raises
    ------
    WorkloadError : what the set raises.
    """
    stops = [tensor.name for tensor in placement.tensors]
    elements = most_elements(model, segments_of(model, stops))
    count = max(1, min(count, LARGEST_SAMPLE_BYTES // (_BYTES_OF_A_PAIR * max(elements, 1))))
    drawn: list[Batch] = []
    for seen, run in enumerate(single for batch in data for single in _runs(batch, model)):
        if seen < count:
            drawn.append(_kept(run))
            continue
        place = int(generator.integers(seen + 1))
        if place < count:
            drawn[place] = _kept(run)
    return drawn


def _kept(run: Batch) -> Batch:
    """A copy that does not hold the batch that it comes from."""
    return {name: array.copy() for name, array in run.items()}


def _runs(batch: Batch, model: FloatModel) -> list[Batch]:
    """The samples of a batch, where the network takes any number of them."""
    if any(not known.dimensions or isinstance(known.dimensions[0], int) for known in model.inputs.values()):
        return [batch]
    size = min(len(array) for array in batch.values())
    return [{name: array[index:index + 1] for name, array in batch.items()} for index in range(size)]
