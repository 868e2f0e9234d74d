"""A table of somebody else's times: measured on a device, or made by another simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from accelsim.errors import TableError
from accelsim.lut.latency_table import LatencyTable
from accelsim.lut.layer_cost import LayerCost
from accelsim.lut.operand_bits import OperandBits
from accelsim.lut.operand_tensors import OperandTensors
from accelsim.lut.table_header import TableHeader, network_fingerprint
from accelsim.problem import did_you_mean
from accelsim.version import __version__
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network

#: A cycle of such a table is a picosecond, so that times written with nine digits of a millisecond stay what they are.
PICOSECONDS_HZ = 10**12

#: Header of a table whose energies nobody knows: they are 0.
UNKNOWN_ENERGY = "unknown"

#: (weight bits, input bits) -> milliseconds, of one layer.
Times = Mapping[tuple[int, int], float]


def table_of_times(network: Network, hardware: str, times: Mapping[str, Times]) -> LatencyTable:
    """A latency table of times alone.

    Whatever such a table leaves out costs nothing there: energy, traffic, layers of the vector unit and those without times,
    and the width of what a layer writes.

    Parameters
    ----------
    hardware : what the times were taken on, for people; the table fits no description of an accelerator.
    times : by the layer's name.

    Raises
    ------
    TableError : times of no layer on the grid, of no width, negative or not finite.

    Examples
    --------
    >>> from accelsim.workload.load import load_network
    >>> network = load_network("mlperf_tiny_autoencoder")
    >>> table = table_of_times(network, "T4", {network.layers[0].name: {(8, 8): 0.5, (4, 4): 0.25}})
    >>> bits = dict.fromkeys(table.layers, OperandBits(8, 8, 8)) | {network.layers[0].name: OperandBits(4, 4, 8)}
    >>> table.total(bits).microseconds(clock_hz=table.header.clock_hz)
    250.0
    """
    grid = {layer.name for layer in network.layers if layer.is_on_grid}
    widths = sorted({bits for cells in times.values() for pair in cells for bits in pair})
    pairs = sorted({pair for cells in times.values() for pair in cells})
    if not pairs:
        raise TableError("expected at least one time, got none", field=hardware)
    for name in times:
        if name not in grid:
            raise TableError(f"no such layer on the grid in {network.name}{did_you_mean(name, grid)}", field=name)
    costs: dict[tuple[str, OperandBits], LayerCost] = {}
    for layer in network.layers:
        own = times.get(layer.name)
        for output in widths:
            if own is None and not layer.is_on_grid:
                given = widths if OperandTensors.of(layer).inputs else [layer.input_bits]
                costs |= {(layer.name, OperandBits(None, bits, output)): _cost(layer, None, 0.0) for bits in given}
            else:
                costs |= {(layer.name, OperandBits(*pair, output)): _cost(layer, pair, 0.0 if own is None else own[pair])
                          for pair in (pairs if own is None else own)}
    header = TableHeader(__version__, " ".join(network.name.split()), network_fingerprint(network), hardware, "", {},
                         clock_hz=PICOSECONDS_HZ, energy_unit=UNKNOWN_ENERGY)
    return LatencyTable(header, tuple(layer.name for layer in network.layers), costs)


def milliseconds(table: LatencyTable, layer: str, bits: OperandBits) -> float:
    """The time of one row."""
    return table.cost(layer, bits).microseconds(clock_hz=table.header.clock_hz) / 1000


def nearest_wider(table: LatencyTable, layer: str, wanted: OperandBits) -> OperandBits:
    """The narrowest row of a layer at least as wide in every operand: what a layer of these bits is stored and run as.

    Raises
    ------
    TableError : no row is as wide.

    Examples
    --------
    >>> from accelsim.workload.load import load_network
    >>> network = load_network("mlperf_tiny_autoencoder")
    >>> table = table_of_times(network, "T4", {network.layers[0].name: {(8, 8): 0.5, (4, 4): 0.25}})
    >>> str(nearest_wider(table, network.layers[0].name, OperandBits(3, 4, 4)))
    '4/4/4'
    """
    wide = [bits for bits in table.choices(layer) if _covers(bits, wanted)]
    if not wide:
        raise TableError(f"the table of {table.header.network} has no row as wide as {wanted}", field=layer)
    return min(wide, key=lambda bits: bits.sort_key)


def _covers(bits: OperandBits, wanted: OperandBits) -> bool:
    return (bits.accumulator_bits == wanted.accumulator_bits and (bits.weight_bits or 0) >= (wanted.weight_bits or 0)
            and bits.input_bits >= wanted.input_bits and bits.output_bits >= wanted.output_bits)


def _cost(layer: Layer, pair: tuple[int, int] | None, time_ms: float) -> LayerCost:
    if not 0 <= time_ms < float("inf"):
        raise TableError(f"expected a time of at least 0 ms, got {time_ms}", field=layer.name)
    weights = layer.weights
    if weights is not None and pair is not None:
        weights = replace(weights, bits=pair[0])
    return LayerCost(
        cycles=round(time_ms * (PICOSECONDS_HZ // 1000)), energy_pj=0.0, dram_bytes=0,
        weight_bytes=0 if weights is None else weights.bytes, buffer_peak_bytes=0, bound="compute", macs=layer.macs,
        effective_weight_bits=None if pair is None else pair[0], effective_input_bits=None if pair is None else pair[1])
