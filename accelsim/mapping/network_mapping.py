"""From a network to its whole program: every layer mapped, and what layers share between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from accelsim.errors import MappingError
from accelsim.hardware.accelerator import Accelerator
from accelsim.mapping.mapper import Mapper
from accelsim.mapping.placement import Placement
from accelsim.mapping.program import LayerProgram, Load, Program
from accelsim.mapping.range_pass import range_pass_inputs
from accelsim.mapping.residency import Stay, placements, plan_stays
from accelsim.mapping.tiling import Tiling
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network


def map_network(network: Network, mapper: Mapper, *, told: Callable[[int, str], None] | None = None) -> Program:
    """The program of a network under the mapper's options. Equal layers are mapped once.

    Accumulators that wait for a dynamic range stay on chip wherever they can, other activations if the options say so.

    Parameters
    ----------
    network : from `accelsim.mapping.range_pass.with_range_passes`.
    told : called with the place (from 1) and the name of every layer that has got its mapping.

    Raises
    ------
    MappingError : a layer that fits nowhere, whatever is kept on chip.
    """
    for layer in network.layers:
        if layer.is_on_grid:
            mapper.check(layer)
        assert not layer.has_dynamic_range, f"{layer.name}: its range pass is missing"
    only = None if mapper.options.keeps_activations else range_pass_inputs(network)
    tilings: dict[object, Tiling | None] = {}
    without: frozenset[str] = frozenset()
    while True:
        stays = plan_stays(network, mapper.accelerator, without=without, only=only)
        try:
            programs = _map_layers(network, mapper, placements(network, stays), tilings, told)
            break
        except _DoesNotFit as failure:
            crowd = [stay for stay in stays if stay.producer <= failure.place <= stay.last_reader]
            if not crowd:
                raise failure.error from None
            without |= {_largest(crowd).tensor}
    if mapper.options.prefetches_weights:
        programs = _with_prefetch(network, programs, mapper.accelerator)
    return Program(tuple(programs))


class _DoesNotFit(Exception):
    def __init__(self, place: int, error: MappingError) -> None:
        super().__init__(str(error))
        self.place, self.error = place, error


def _largest(stays: list[Stay]) -> Stay:
    return max(stays, key=lambda stay: (stay.size_bytes, stay.producer))


def _map_layers(
    network: Network, mapper: Mapper, where: list[Placement], tilings: dict[object, Tiling | None],
    told: Callable[[int, str], None] | None
) -> list[LayerProgram]:
    programs = []
    for place, (layer, placement) in enumerate(zip(network.layers, where, strict=True)):
        key = _identity(layer, placement)
        try:
            if key not in tilings:
                tilings[key] = mapper.tiling(layer, placement)
            programs.append(mapper.program(layer, tilings[key], placement))
        except MappingError as error:
            raise _DoesNotFit(place, error) from None
        if told is not None:
            told(place + 1, layer.name)
    return programs


def _identity(layer: Layer, placement: Placement) -> object:
    """What a mapping depends on: everything but names."""
    return (
        layer.operation, tuple((tensor.elements, tensor.bits) for tensor in layer.inputs),
        (layer.output.elements, layer.output.bits), layer.weights.bits if layer.weights is not None else None,
        layer.bias.bits if layer.bias is not None else None,
        tuple(tensor.name in placement.resident_inputs for tensor in layer.inputs), placement.keeps_output,
        placement.reserved_bytes, layer.has_asymmetric_weights, layer.weight_scale_groups)


def _with_prefetch(network: Network, programs: list[LayerProgram], accelerator: Accelerator) -> list[LayerProgram]:
    """Hand each layer's first weight load to the layer before it, where its buffer has room beside that layer's regions."""
    found = list(programs)
    for i in range(1, len(found)):
        load = _first_weight_load(network.layers[i], found[i])
        if load is not None and load.tile_bytes <= _spare_bytes(found[i - 1], accelerator):
            found[i - 1] = replace(found[i - 1], prefetch=(load,))
            found[i] = replace(found[i], prefetched=frozenset({load.number}))
    return found


def _first_weight_load(layer: Layer, program: LayerProgram) -> Load | None:
    """The first load of constant weights; it holds turn 0 of its region."""
    if layer.weights is None:
        return None
    return next((step for step in program.steps if isinstance(step, Load) and step.operand == "weights"), None)


def _spare_bytes(program: LayerProgram, accelerator: Accelerator) -> int:
    """Room in the weights' buffer beside the regions of the layer that runs."""
    home = accelerator.memory.home("weights")
    used = sum(program.region_bytes[operand] for operand in accelerator.memory.buffers[home].holds)
    return program.placement.free_bytes(accelerator)[home] - used
