"""Which activations stay on chip between layers."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.hardware.accelerator import Accelerator
from accelsim.mapping.placement import IN_DRAM, Placement
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network

#: Kept activations may take this share of their buffer; the rest is for tiles.
_LARGEST_SHARE = (1, 2)


@dataclass(frozen=True, slots=True)
class Stay:
    """An activation that stays on chip from its producer (a layer's place) to its last reader."""

    tensor: str
    size_bytes: int
    producer: int
    last_reader: int


def plan_stays(network: Network, accelerator: Accelerator, *, without: frozenset[str] = frozenset(),
               only: frozenset[str] | None = None) -> list[Stay]:
    """Activations worth keeping, first come first served.

    A tensor can stay if one buffer holds inputs and outputs, if every reader streams it (a second operand of an attention
    product is loaded as weights), if it does not leave the network, and if it fits beside those already kept
    during its whole life.

    Parameters
    ----------
    without : tensors that must not stay, because some layer did not fit beside them.
    only : the tensors that may stay, or None for any.
    """
    if not accelerator.memory.can_keep_activations:
        return []
    numerator, denominator = _LARGEST_SHARE
    room = accelerator.memory.buffer_of("inputs").capacity_bytes * numerator // denominator
    taken = [0] * len(network.layers)
    stays = []
    for place, layer in enumerate(network.layers):
        last = _last_reader(network, place)
        tensor = layer.output
        if last is None or tensor.name in network.outputs or tensor.name in without:
            continue
        if only is not None and tensor.name not in only:
            continue
        size = tensor.elements * -(-tensor.bits // 8)  # blocks of narrow elements end on whole bytes: at most one each
        if all(taken[i] + size <= room for i in range(place, last + 1)):
            stays.append(Stay(tensor.name, size, place, last))
            for i in range(place, last + 1):
                taken[i] += size
    return stays


def _last_reader(network: Network, producer: int) -> int | None:
    """Place of the last reader of a layer's output, or None where nobody reads it or somebody cannot read it on chip."""
    name = network.layers[producer].output.name
    readers = [i for i, layer in enumerate(network.layers) if any(tensor.name == name for tensor in layer.inputs)]
    if not readers or not all(_streams(network.layers[i], name) for i in readers):
        return None
    return readers[-1]


def _streams(layer: Layer, tensor: str) -> bool:
    return not (layer.is_on_grid and layer.weights is None and layer.stationary.name == tensor)


def placements(network: Network, stays: list[Stay]) -> list[Placement]:
    """Each layer's placement under these stays."""
    found = []
    for place, layer in enumerate(network.layers):
        resident = frozenset(stay.tensor for stay in stays if stay.producer < place <= stay.last_reader)
        found.append(Placement(
            resident_inputs=frozenset(tensor.name for tensor in layer.inputs) & resident,
            keeps_output=any(stay.producer == place for stay in stays),
            reserved_bytes=sum(stay.size_bytes for stay in stays if stay.producer < place <= stay.last_reader),
        ) if stays else IN_DRAM)
    return found
