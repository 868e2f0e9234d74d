"""Makes latency tables: every layer at every choice of its bits, equal ones once, those that ran before not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from accelsim.errors import MappingError, TableError
from accelsim.hardware.accelerator import Accelerator
from accelsim.lut.assignment import uniform
from accelsim.lut.latency_table import LatencyTable
from accelsim.lut.operand_bits import OperandBits
from accelsim.lut.operand_tensors import OperandTensors
from accelsim.lut.run_plan import ChipRuns, Told, costs_of
from accelsim.lut.store import Store
from accelsim.lut.table_header import TableHeader
from accelsim.lut.workers import Workers
from accelsim.mapping.options import MappingOptions
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network

_ANY_BITS = 8


def build_table(
    network: Network, accelerator: Accelerator, *, weight_bits: Sequence[int], input_bits: Sequence[int],
    output_bits: Sequence[int] | None = None, accumulator_bits: Sequence[int] | None = None,
    options: MappingOptions | None = None, store: Store | None = None, workers: int | Workers = 1, told: Told | None = None
) -> LatencyTable:
    """The latency table of a network on an accelerator.

    Parameters
    ----------
    weight_bits, input_bits : widths that are tried together, each with each.
    output_bits : of what a layer writes; those of the inputs if left out. A whole network can be added up where they are
        among those that its readers read.
    accumulator_bits : widths of the accelerator's accumulators; its own if left out.
    options : of the mapping, with residency and prefetch off, since only then layers are independent.
    store : of runs made before; each new run is put there at once.
    workers : processes of this machine, or others who run the layers.
    told : as rows get their costs.

    Raises
    ------
    TableError : no widths, impossible ones, or options under which layers are not independent.
    HardwareError : accumulators narrower than the operands.
    MappingError : a layer that fits nowhere, or operands wider than the PEs multiply.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> from accelsim.workload.load import load_network
    >>> network, chip = load_network("mlperf_tiny_autoencoder"), load_accelerator("edge_16x16")
    >>> table = build_table(network, chip, weight_bits=[4, 8], input_bits=[8])
    >>> len(table.layers), len(table.costs)
    (10, 20)
    >>> table.total({name: OperandBits(4, 8, 8) for name in table.layers}).weight_bytes * 2 == network.weight_bytes
    True
    """
    options = options or MappingOptions()
    choices = BitChoices(_widths(weight_bits, "weight_bits"), _widths(input_bits, "input_bits"),
                         _widths(input_bits if output_bits is None else output_bits, "output_bits"),
                         (None,) if accumulator_bits is None else _widths(accumulator_bits, "accumulator_bits"))
    _check_options(options)
    _check_operands(network, accelerator, choices)
    chip = ChipRuns(accelerator, options)
    # At one width first, so that layers that differ in their widths alone are the same kind.
    reference = uniform(network, weight_bits=_ANY_BITS, activation_bits=_ANY_BITS)
    runs = {(layer.name, bits): chip.run(layer, bits) for layer in reference.layers for bits in choices.of(layer)}
    costs = costs_of({run.key: run for run in runs.values()}, store=store, workers=workers, told=told)
    return LatencyTable(TableHeader.of(network, accelerator, options), tuple(layer.name for layer in network.layers),
                        {row: costs[run.key] for row, run in runs.items()})


@dataclass(frozen=True, slots=True)
class BitChoices:
    """Widths that a table is made of, each in rising order.

    Parameters
    ----------
    weight_bits, input_bits, output_bits : of operands.
    accumulator_bits : of accumulators; None is the accelerator's own.
    """

    weight_bits: tuple[int, ...]
    input_bits: tuple[int, ...]
    output_bits: tuple[int, ...]
    accumulator_bits: tuple[int | None, ...] = (None,)

    def of(self, layer: Layer) -> Iterator[OperandBits]:
        """All of a layer's rows. Whoever reads indices reads them at their own width.

        >>> from accelsim.workload.load import load_network
        >>> layer = load_network("mlperf_tiny_autoencoder").layers[0]
        >>> [str(bits) for bits in BitChoices((4, 8), (8,), (8,), (16, 24)).of(layer)]
        ['4/8/8/16', '4/8/8/24', '8/8/8/16', '8/8/8/24']
        """
        weights: tuple[int | None, ...] = self.weight_bits if layer.is_on_grid else (None,)
        accumulators = self.accumulator_bits if layer.is_on_grid else (None,)
        inputs = self.input_bits if OperandTensors.of(layer).inputs or not layer.inputs else (layer.input_bits,)
        for weight in weights:
            for given in inputs:
                for output in self.output_bits:
                    for accumulator in accumulators:
                        yield OperandBits(weight, given, output, accumulator)


def _widths(bits: Sequence[int], field: str) -> tuple[int, ...]:
    if not bits:
        raise TableError("expected at least one width, got none", field=field)
    return tuple(sorted(set(bits)))


def _check_options(options: MappingOptions) -> None:
    if options.keeps_activations or options.prefetches_weights:
        raise TableError("expected residency and prefetch off, since with them a layer's cost depends on its neighbours")


def _check_operands(network: Network, accelerator: Accelerator, choices: BitChoices) -> None:
    """Refuse operands that no PE takes before anything runs."""
    first = next((layer for layer in network.layers if layer.is_on_grid), None)
    if first is None:
        return
    precision = accelerator.pe_grid.precision
    for weight in choices.weight_bits:
        for given in choices.input_bits:
            if precision.executed_bits(weight_bits=weight, input_bits=given) is None:
                limits = " or ".join(f"{most}-bit weights and {others}-bit inputs" for most, others in precision.limits)
                raise MappingError(f"expected operands of at most {limits} on {accelerator.name}, got {weight} and {given}",
                                   field=first.name)
