"""A network: layers in an order in which each can be executed, and what could not be simulated."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Layer
from accelsim.workload.tensor import Tensor


@dataclass(frozen=True)
class Network:
    """Layers in topological order, joined by the tensors that they share.

    Parameters
    ----------
    name : what reports call it.
    layers : at least one; each reads graph inputs, or outputs of layers before it.
    outputs : names of the tensors that leave the network; they are always stored to DRAM.
    unsupported : operators that the importer met and the machine does not execute, with their number. Their time and
        energy are missing from every figure; ``--strict`` refuses such a network.

    Raises
    ------
    WorkloadError : no layer, two layers or tensors of one name, a tensor with two shapes.
    """

    name: str
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...] = ()
    unsupported: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.layers:
            raise WorkloadError("expected at least one layer, got none", field=self.name)
        for name, count in Counter(layer.name for layer in self.layers).items():
            if count > 1:
                raise WorkloadError(f"expected unique layer names, got {count} layers of this name", field=name)
        self._check_tensors()

    def _check_tensors(self) -> None:
        seen: dict[str, Tensor] = {}
        producers: set[str] = set()
        for layer in self.layers:
            for tensor in layer.inputs:
                if seen.setdefault(tensor.name, tensor) != tensor:
                    raise WorkloadError(f"reads {tensor.name} as {list(tensor.shape)} of {tensor.bits} bits, but it is "
                                        f"{list(seen[tensor.name].shape)} of {seen[tensor.name].bits} bits",
                                        field=layer.name)
            if layer.output.name in producers:
                raise WorkloadError(f"two layers write the tensor {layer.output.name}", field=layer.name)
            if layer.output.name in seen:
                raise WorkloadError(f"{layer.output.name} is read before it is written", field=layer.name)
            producers.add(layer.output.name)
            seen[layer.output.name] = layer.output

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        return sum(layer.weights.bytes for layer in self.layers if layer.weights is not None)

    @cached_property
    def consumers(self) -> dict[str, tuple[str, ...]]:
        """Tensor name -> names of the layers that read it."""
        readers: dict[str, tuple[str, ...]] = {}
        for layer in self.layers:
            for tensor in layer.inputs:
                readers[tensor.name] = (*readers.get(tensor.name, ()), layer.name)
        return readers

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that timing depends on; equal networks have equal fingerprints."""
        text = "\n".join(repr(layer) for layer in self.layers) + repr(self.outputs) + repr(sorted(self.unsupported.items()))
        return hashlib.sha256(text.encode()).hexdigest()
