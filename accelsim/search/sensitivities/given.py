"""Sensitivities from a file, one's own or those of an earlier search.

    layer,operand,bits,sensitivity
    conv1,weights,4,0.462
    conv1_relu,activations,4,0.013

`layer` is the layer of weights; of activations a tensor, the layer that writes it, or an input of the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from accelsim.errors import SearchError
from accelsim.problem import did_you_mean, quoted
from accelsim.search.operand import Operand
from accelsim.search.sensitivities.hessian_trace import number, operand_of, read_rows
from accelsim.search.sensitivities.measurement import WidthCosts

COLUMNS = ("layer", "operand", "bits", "sensitivity")


def read_sensitivities(path: str | Path, asked: Mapping[Operand, tuple[int, ...]], groups: Mapping[str, str]) -> WidthCosts:
    """The sensitivities that a search asks for.

    Parameters
    ----------
    asked : widths by operand; rows of other operands and widths are left aside, as long as the network has them.
    groups : tensor or layer that writes it -> its group of activations.

    Raises
    ------
    SearchError : not such a file; numbers that are not finite or below 0; two rows of one width; a width that is asked for
        and missing.
    """
    found: WidthCosts = {}
    known = {*groups, *(operand.name for operand in asked if operand.kind == "weights")}
    for line, row in read_rows(path, COLUMNS):
        operand = operand_of(row, groups, str(path), line)
        if operand.kind == "activations" and row["layer"] not in known:
            raise SearchError(f"expected a tensor or layer of the network, got {quoted(row['layer'])}"
                              f"{did_you_mean(row['layer'], sorted(known))}", file=str(path), line=line)
        if not row["bits"].isdigit():
            raise SearchError(f"expected a number of bits, got {quoted(row['bits'])}", file=str(path), line=line,
                              field=row["layer"])
        bits = int(row["bits"])
        if bits in found.setdefault(operand, {}):
            raise SearchError(f"a second row of {operand} at {bits} bits", file=str(path), line=line)
        found[operand][bits] = number(row["sensitivity"], "a sensitivity", str(path), line, row["layer"])
    for operand, widths in asked.items():
        for bits in widths:
            if bits not in found.get(operand, {}):
                raise SearchError(f"expected a sensitivity of {operand} at {bits} bits, got none", file=str(path))
    return {operand: {bits: found[operand][bits] for bits in widths} for operand, widths in asked.items()}


def sensitivity_rows(costs: WidthCosts) -> list[dict[str, object]]:
    """Records of the file's columns, for the writer."""
    return [{"layer": operand.name, "operand": operand.kind, "bits": bits, "sensitivity": value}
            for operand, widths in costs.items() for bits, value in widths.items()]
