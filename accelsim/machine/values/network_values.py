"""The integers of a whole run: the tensors in DRAM, and a carrier for each layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.hardware.accelerator import Accelerator
from accelsim.machine.grid_times import GridTimes
from accelsim.machine.values.carrier import Carrier
from accelsim.machine.values.grid_layer import GridLayer, grid_layer
from accelsim.machine.values.grid_operands import GridOperands
from accelsim.machine.values.grouped_grid import GroupedGrid
from accelsim.machine.values.stepped_grid import SteppedGrid
from accelsim.machine.values.tiled_grid import TiledGrid
from accelsim.machine.values.trial_grid import TrialGrid
from accelsim.machine.values.vector_layer import VectorLayer
from accelsim.machine.values.whole_grid import WholeGrid
from accelsim.mapping.lowering import lower
from accelsim.mapping.program import LayerProgram
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.rule import Rule
from accelsim.results.layer_values import LayerValues
from accelsim.workload.layer import Layer
from accelsim.workload.quantized_network import QuantizedLayer, QuantizedNetwork

#: Told of every layer's output as it is made: the layer's name, the integers in the model's layout.
ToldOutput = Callable[[str, NDArray[Any]], None]


class NetworkValues:
    """Born with a run's inputs, dead with its end.

    Parameters
    ----------
    inputs : integers of the network's input tensors by name, in the model's layout.
    rule : of the requantizer and the vector unit.
    event_limit : overflow events that are kept whole, per layer.
    tiles_always : carry every layer tile by tile, also those that provably cannot overflow.
    trial_bits : widths of accumulators to be tried beside the run, whose own are then taken to be wide enough.
    told : of every layer's output; the network's own outputs are kept in any case.
    prepared : grid layers under this accelerator and rule, by name: those that runs of earlier samples prepared are used
        again, new ones are added.
    times : those of the run. With the stepped engine's, the registers of the grid and the requantizer compute the integers
        of grid layers, but not where trial widths are asked for.
    fed : outputs by layer that take the place of the run's own, once those have been told: each layer is then fed what
        another runtime computed.
    """

    def __init__(self, accelerator: Accelerator, network: QuantizedNetwork, inputs: Mapping[str, NDArray[Any]], *,
                 rule: Rule, event_limit: int = 0, tiles_always: bool = False, trial_bits: Sequence[int] = (),
                 told: ToldOutput | None = None, fed: Mapping[str, NDArray[Any]] | None = None,
                 prepared: dict[str, GridLayer] | None = None, times: GridTimes | None = None) -> None:
        self._accelerator, self._network, self._rule = accelerator, network, rule
        self._event_limit, self._tiles_always, self._told, self._fed = event_limit, tiles_always, told, fed or {}
        self._times = times
        self._layers = {layer.name: layer for layer in network.network.layers}
        self._trial_bits = trial_bits
        self._prepared = prepared if prepared is not None else {}
        self._dram = dict(inputs)
        self._readers = Counter(tensor.name for layer in network.network.layers for tensor in layer.inputs)
        self._kept = {output.tensor for output in network.outputs}
        self.observed: dict[str, LayerValues] = {}
        #: Layer -> number of a compute step -> cycle at which its stream started, for layers that were carried by tiles.
        self.starts: dict[str, dict[int, int]] = {}

    def carrier(self, program: LayerProgram) -> Carrier:
        """The carrier of a layer; it takes the layer's inputs in `begin`."""
        layer, quantized = self._layers[program.layer], self._network.layers[program.layer]
        if not isinstance(quantized.kernel, GridKernel):
            return VectorLayer(layer.name, quantized.kernel, self._rule, quantized.output_shape)
        return self._grid_carrier(layer, quantized, quantized.kernel, program)

    def _grid_carrier(self, layer: Layer, quantized: QuantizedLayer, kernel: GridKernel, program: LayerProgram) -> Carrier:
        if layer.name not in self._prepared:
            self._prepared[layer.name] = self._grid_layer(layer, kernel, program)
        grid = self._prepared[layer.name]
        looks_inside = self._tiles_always or (self._times is not None and self._times.engine == "stepped")
        if kernel.scale_groups is not None and not looks_inside and not self._trial_bits:
            return GroupedGrid(grid, quantized.output_shape, self._accelerator, program, self._rule)
        if self._trial_bits:
            return TrialGrid(grid, quantized.output_shape, self._trial_bits)
        has_resident_inputs = layer.streamed.name in program.placement.resident_inputs
        keeps_output = program.placement.keeps_output
        if self._times is not None and self._times.engine == "stepped":
            return SteppedGrid(grid, self._accelerator, quantized.output_shape, has_resident_inputs=has_resident_inputs,
                               keeps_output=keeps_output, event_limit=self._event_limit, times=self._times)
        if grid.is_safe and not self._tiles_always:
            return WholeGrid(grid, quantized.output_shape)
        return TiledGrid(grid, self._accelerator, quantized.output_shape, has_resident_inputs=has_resident_inputs,
                         keeps_output=keeps_output, event_limit=self._event_limit)

    def _grid_layer(self, layer: Layer, kernel: GridKernel, program: LayerProgram) -> GridLayer:
        grid = self._accelerator.pe_grid
        operands = GridOperands(kernel, lower(layer, has_row_sum_unit=grid.row_sum_unit),
                                folds_zero_points=grid.zero_points == "fold_into_bias")
        try:
            requantization = kernel.requantization(self._rule)
        except NumericsError as error:
            raise NumericsError(error.problem, field=": ".join(filter(None, (layer.name, error.field)))) from error
        return grid_layer(layer.name, operands, requantization, self._accelerator, program)

    def begin(self, name: str, carrier: Carrier) -> None:
        """A layer starts: hand it its inputs."""
        layer, shapes = self._layers[name], self._network.layers[name].input_shapes
        carrier.begin([self._dram[tensor.name].reshape(shape) for tensor, shape in zip(layer.inputs, shapes, strict=True)])

    def finish(self, name: str, carrier: Carrier) -> None:
        """A layer has ended: take its output, forget tensors that nobody reads any more."""
        layer = self._layers[name]
        output = carrier.finish()
        self.observed[name] = carrier.observed()
        if isinstance(carrier, TiledGrid):
            self.starts[name] = carrier.starts
        if self._told is not None:
            self._told(name, output)
        self._dram[layer.output.name] = self._fed.get(name, output)
        for tensor in layer.inputs:
            self._readers[tensor.name] -= 1
        for tensor in (*layer.inputs, layer.output):
            if self._readers[tensor.name] <= 0 and tensor.name not in self._kept:
                self._dram.pop(tensor.name, None)

    @property
    def outputs(self) -> dict[str, NDArray[Any]]:
        """The network's outputs by the model's names, in the model's shapes."""
        return {output.name: self._dram[output.tensor].reshape(output.shape) for output in self._network.outputs}
