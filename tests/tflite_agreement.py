"""Whether the integers of an imported TFLite model are LiteRT's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from litert_networks import reference_tensors
from numpy.typing import NDArray
from slow_execution import execute

from accelsim.workload.quantized_network import QuantizedNetwork
from accelsim.workload.tflite.importer import import_quantized_tflite, import_tflite


def agreeing_network(path: Path, *inputs: NDArray[Any]) -> QuantizedNetwork:
    """The network, after every tensor that a layer writes was found equal to what LiteRT's reference kernels write.

    Parameters
    ----------
    inputs : of the model, in its order; real numbers where it takes such.
    """
    network = import_quantized_tflite(path)
    assert network.network.fingerprint == import_tflite(path).fingerprint
    runtime = reference_tensors(path, inputs)
    names = {item.name: array for item, array in zip(_inputs(path), inputs, strict=True)}
    found = execute(network, {item.tensor: item.qparams.quantize(names[item.name], rounding="half_away") if item.is_float
                              else names[item.name] for item in network.inputs})
    for layer in network.network.layers:
        expected = runtime[int(network.layers[layer.name].model_output)]
        np.testing.assert_array_equal(found[layer.output.name], expected, err_msg=layer.name)
        assert len(np.unique(expected)) > 1 or expected.size == 1, f"{layer.name}: the test's outputs are all alike"
    return network


def _inputs(path: Path) -> list[Any]:
    from accelsim.workload.tflite.file import read_tflite

    graph = read_tflite(path)
    return [graph.tensors[number] for number in graph.inputs]
