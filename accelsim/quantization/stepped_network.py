"""A float network that runs tensor by tensor on some samples, so that its later layers may still change.

Between two stops lies a segment: the few nodes that make one stop of others. Each segment runs once, on all samples, with
the constants that the network has by then; of what it made, only what is still to be read stays in memory. To run a network
so to its end takes one pass over it, however often its constants change behind the point where it stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.float_session import FloatSession
from accelsim.workload.onnx.graph import GraphInput

#: What becomes of a stop's values, by its name.
Change = Callable[[str, NDArray[Any]], NDArray[Any]]


class Segment(NamedTuple):
    """What makes one tensor of others.

    Parameters
    ----------
    nodes : places in the model's list of nodes, ascending.
    sources : the stops, and inputs of the network, that they read.
    """

    nodes: tuple[int, ...]
    sources: tuple[str, ...]


def segments_of(model: FloatModel, stops: Iterable[str]) -> dict[str, Segment]:
    """The segment of every stop that a node writes, in the order of the stops, which is one of execution."""
    stops = tuple(stops)
    known = {*stops, *model.inputs}
    places = {name: place for place, node in enumerate(model.nodes) for name in node.outputs}
    found = {}
    for stop in stops:
        if stop not in places:
            continue
        nodes: set[int] = set()
        sources: dict[str, None] = {}
        waiting = [places[stop]]
        while waiting:
            place = waiting.pop()
            if place in nodes:
                continue
            nodes.add(place)
            for name in model.nodes[place].inputs:
                if name in known:
                    sources[name] = None
                elif name in places:
                    waiting.append(places[name])
        found[stop] = Segment(tuple(sorted(nodes)), tuple(sources))
    return found


def most_elements(model: FloatModel, segments: Mapping[str, Segment]) -> int:
    """How many numbers of one sample are in memory at a time, at most, while the segments run one after the other."""
    uses = Counter(name for segment in segments.values() for name in segment.sources)
    sizes = {name: prod(model.sizes.get(name, ())) for name in (*model.inputs, *segments)}
    held = most = sum(sizes[name] for name in model.inputs)
    for stop, segment in segments.items():
        held += sizes[stop]
        most = max(most, held)
        for name in segment.sources:
            uses[name] -= 1
            held -= sizes[name] if not uses[name] else 0
    return most


class SteppedNetwork:
    """The state of one run; lives as long as its samples are of use.

    Parameters
    ----------
    model : the network.
    stops : tensors at which it can be looked into, in an order of execution.
    samples : inputs by name, one run each.
    change : what becomes of every stop's values before anything reads them; None leaves them.

    Examples
    --------
    >>> from accelsim.workload.onnx.graph import Node
    >>> nodes = (Node("Mul", "m", ("x", "f"), ("y",)), Node("Relu", "r", ("y",), ("z",)))
    >>> net = FloatModel("net", nodes, {"f": np.array(2, np.float32)}, {"x": GraphInput((2,), 1)}, ("z",))
    >>> run = SteppedNetwork(net, ["x", "y", "z"], [{"x": np.array([1, -1], np.float32)}])
    >>> run.values("y")[0].tolist()
    [2.0, -2.0]
    >>> run.values("z")[0].tolist()
    [2.0, 0.0]
    """

    def __init__(self, model: FloatModel, stops: Sequence[str], samples: Sequence[Mapping[str, NDArray[Any]]],
                 change: Change | None = None) -> None:
        #: The network; its constants may be replaced, its nodes and tensors keep their names.
        self.model = model
        self._change = change
        self._stops = frozenset(stops)
        self._segments = segments_of(model, stops)
        self._uses = Counter(name for segment in self._segments.values() for name in segment.sources)
        self._held: dict[str, list[NDArray[Any]]] = {
            name: [self._changed(name, sample[name]) for sample in samples] for name in model.inputs}

    def values(self, stop: str) -> list[NDArray[Any]]:
        """A stop's values, one array a sample. A stop is to be asked for before all that read it have run."""
        needed, waiting = set(), [stop]
        while waiting:
            name = waiting.pop()
            if name not in self._held and name not in needed:
                needed.add(name)
                waiting += self._segments[name].sources
        for name in [each for each in self._segments if each in needed]:
            self._run(name, self._segments[name])
        return self._held[stop]

    def _run(self, stop: str, segment: Segment) -> None:
        """One segment on every sample."""
        nodes = tuple(self.model.nodes[place] for place in segment.nodes)
        read = {name for node in nodes for name in node.inputs}
        arrays = {name: array for name, array in self.model.arrays.items() if name in read}
        inputs = {name: _input_like(self._held[name][0]) for name in segment.sources}
        session = FloatSession(FloatModel(stop, nodes, arrays, inputs, (), self.model.opset, path=self.model.path), (stop,))
        count = len(self._held[segment.sources[0]]) if segment.sources else 1
        self._held[stop] = [
            self._changed(stop, session.run({name: self._held[name][index] for name in segment.sources})[stop])
            for index in range(count)]
        for name in segment.sources:
            self._uses[name] -= 1
            if not self._uses[name]:
                del self._held[name]

    def _changed(self, stop: str, values: NDArray[Any]) -> NDArray[Any]:
        return values if self._change is None or stop not in self._stops else self._change(stop, values)


def _input_like(values: NDArray[Any]) -> GraphInput:
    from onnx import helper

    return GraphInput(values.shape, int(helper.np_dtype_to_tensor_dtype(np.dtype(values.dtype))))
