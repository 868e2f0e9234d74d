"""The latency table of a network on an accelerator: a cost for every layer and every choice of its bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import TableError
from accelsim.hardware.accelerator import Accelerator
from accelsim.lut.layer_cost import LayerCost, NetworkCost
from accelsim.lut.operand_bits import OperandBits
from accelsim.lut.table_header import TableHeader
from accelsim.lut.table_text import TableText, read_table
from accelsim.mapping.options import MappingOptions
from accelsim.problem import did_you_mean
from accelsim.whole_file import write_atomically
from accelsim.workload.network import Network

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class LatencyTable:
    """Costs of layers that run one after the other, each from empty buffers to its last store.

    With residency and prefetch off a network takes the sum of its layers, so `total` is exactly what `simulate` gives for
    the network with those bits (`accelsim.lut.assignment.assigned`).

    Parameters
    ----------
    header : what the table was made of.
    layers : names of all layers in the order of the network, those of the vector unit too.
    costs : by the layer's name and the widths of its operands.

    Raises
    ------
    TableError : a layer without a row, or a row of no layer.

    Examples
    --------
    >>> header = TableHeader("0", "net", "", "chip", "", {}, clock_hz=500_000_000)
    >>> cost = LayerCost(cycles=3, energy_pj=0.5, dram_bytes=2, weight_bytes=1, buffer_peak_bytes=8, bound="memory")
    >>> table = LatencyTable(header, ("fc",), {("fc", OperandBits(4, 8, 8)): cost})
    >>> table.choices("fc"), table.total({"fc": OperandBits(4, 8, 8)}).cycles
    ((OperandBits(weight_bits=4, input_bits=8, output_bits=8, accumulator_bits=None),), 3)
    >>> LatencyTable.parse(table.to_csv()) == table
    True
    """

    header: TableHeader
    layers: tuple[str, ...]
    costs: Mapping[tuple[str, OperandBits], LayerCost]

    def __post_init__(self) -> None:
        names = set(self.layers)
        for layer, bits in self.costs:
            if layer not in names:
                raise TableError(f"a row at {bits} of a layer that the network does not have", field=layer)
        for layer in self.layers:
            if layer not in self._choices:
                raise TableError("expected at least one row, got none", field=layer)

    @cached_property
    def _choices(self) -> dict[str, tuple[OperandBits, ...]]:
        found: dict[str, list[OperandBits]] = {}
        for layer, bits in self.costs:
            found.setdefault(layer, []).append(bits)
        return {layer: tuple(sorted(choices, key=lambda bits: bits.sort_key)) for layer, choices in found.items()}

    def choices(self, layer: str) -> tuple[OperandBits, ...]:
        """The bits that the table has a row of this layer for, narrow ones first.

        Raises
        ------
        TableError : no such layer.
        """
        if layer not in self._choices:
            raise TableError(f"the table of {self.header.network} has no such layer{did_you_mean(layer, self.layers)}",
                             field=layer)
        return self._choices[layer]

    def cost(self, layer: str, bits: OperandBits) -> LayerCost:
        """One row; at the accelerator's own width of accumulators the one that states none.

        Raises
        ------
        TableError : no such layer, or no row of it at these bits.
        """
        found = self.costs.get((layer, bits))
        if found is None and bits.accumulator_bits == self.header.accumulator_bits:
            found = self.costs.get((layer, replace(bits, accumulator_bits=None)))
        if found is None:
            known = self.choices(layer)
            raise TableError(f"the table of {self.header.network} has no row at {bits}; its {len(known)} rows of this layer "
                             f"reach from {known[0]} to {known[-1]}", field=layer)
        return found

    def total(self, assignment: Mapping[str, OperandBits]) -> NetworkCost:
        """What the network costs with these bits.

        Raises
        ------
        TableError : a layer without bits, bits of no layer, or no row at them.
        """
        for layer in assignment:
            self.choices(layer)
        for layer in self.layers:
            if layer not in assignment:
                raise TableError(f"expected bits for every layer of {self.header.network}, got none", field=layer)
        return NetworkCost.of(self.cost(layer, assignment[layer]) for layer in self.layers)

    def check(self, *, network: Network | None = None, accelerator: Accelerator | None = None,
              options: MappingOptions | None = None, file: str | None = None) -> None:
        """Refuse the table for another network, accelerator or mapping than it was made for, and one that lacks layers.

        Raises
        ------
        TableError : the difference, in one line.
        """
        self.header.check(network=network, accelerator=accelerator, options=options, file=file)
        if network is not None and tuple(layer.name for layer in network.layers) != self.layers:
            missing = [layer.name for layer in network.layers if layer.name not in set(self.layers)]
            raise TableError(f"expected the layers of {network.name} in their order"
                             + (f", got none called {missing[0]}" if missing else ", got another order"), file=file)

    def rows(self) -> list[dict[str, Any]]:
        """One record a row, in the order of the network: the columns of the CSV."""
        return TableText.rows(self.header, [(layer, bits, self.costs[layer, bits])
                                            for layer in self.layers for bits in self._choices[layer]])

    def frame(self) -> pandas.DataFrame:
        """The same as pandas, widths that a layer does not have as missing values."""
        import pandas  # late: it takes longer to import than a small table to read

        frame = pandas.DataFrame(self.rows())
        whole = [column for column in frame if str(column).endswith("_bits")]
        return frame.astype(dict.fromkeys(whole, "Int64"))

    def to_csv(self) -> str:
        """The file's text; the same table gives the same text."""
        return TableText.write(self.header, self.rows())

    def save(self, path: str | Path) -> None:
        """Write the CSV: under the file's name there is the old content or the new one, never a part.

        Raises
        ------
        OutputError : it cannot be written.
        """
        write_atomically(Path(path), self.to_csv().encode())

    @classmethod
    def parse(cls, text: str, *, file: str = "table") -> LatencyTable:
        """The table that `to_csv` wrote.

        Raises
        ------
        TableError : not such a text; the message names the line.
        """
        found = TableText.parse(text, file=file)
        return cls(found.header, tuple(dict.fromkeys(layer for layer, _ in found.costs)), found.costs)

    @classmethod
    def load(cls, path: str | Path) -> LatencyTable:
        """A table from its file.

        Raises
        ------
        TableError : no such file, or not a latency table.
        """
        return cls.parse(read_table(Path(path)), file=str(path))
