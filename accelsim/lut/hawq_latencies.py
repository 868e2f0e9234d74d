"""HAWQ's latencies: a list of milliseconds for each width that weights and inputs of a layer share.

HAWQ-V3's notebook (Yao et al. 2021, arXiv 2011.10680; github.com/Zhen-Dong/HAWQ, ``ILP.ipynb``) holds ``latency_int4`` and
``latency_int8``: measured times in the order of the layers, the first and the last layer with weights left out, since they
stay at 8 bits. Here they stand in a JSON file with the names of their layers beside them::

    {"layers": ["stage1.conv1", ...], "latency_int4": [0.21, ...], "latency_int8": [0.36, ...]}

A dictionary by name in the place of a list is read too, and ``layers`` may be missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelsim.errors import TableError
from accelsim.lut.haq_table import weighted_layers
from accelsim.lut.latency_table import LatencyTable
from accelsim.lut.measured_times import milliseconds, table_of_times
from accelsim.lut.table_text import read_table
from accelsim.problem import quoted
from accelsim.whole_file import write_atomically
from accelsim.workload.network import Network

_KEY = re.compile(r"latency_int([0-9]{1,2})")


def hawq_latencies(table: LatencyTable, network: Network, *, output_bits: int = 8) -> dict[str, list[Any]]:
    """The table as HAWQ's code reads it: widths at which every layer has a row with equal bits of weights and inputs.

    Parameters
    ----------
    output_bits : of what every layer writes.

    Raises
    ------
    TableError : a table of another network, one without such rows, or a network of fewer than three layers with weights.

    Examples
    --------
    >>> from accelsim.workload.load import load_network
    >>> network = load_network("mlperf_tiny_autoencoder")
    >>> table = table_of_times(network, "T4", {layer.name: {(8, 8): 0.5, (4, 4): 0.25} for layer in network.layers})
    >>> found = hawq_latencies(table, network)
    >>> len(found["layers"]), found["latency_int4"][:2], found["latency_int8"][:2]
    (8, [0.25, 0.25], [0.5, 0.5])
    """
    table.check(network=network)
    names = weighted_layers(network)[1:-1]
    if not names:
        raise TableError(f"expected at least three layers with weights, since HAWQ leaves out the first and the last, got "
                         f"{len(weighted_layers(network))}", field=network.name)
    rows = {name: {bits.weight_bits: bits for bits in table.choices(name)
                   if bits.weight_bits == bits.input_bits and bits.output_bits == output_bits} for name in names}
    widths = sorted(width for width in set.intersection(*(set(own) for own in rows.values())) if width is not None)
    if not widths:
        raise TableError(f"expected rows with equal bits of weights and inputs and {output_bits} bits of outputs, got none",
                         field=table.header.network)
    return {"layers": names, **{f"latency_int{width}": [milliseconds(table, name, rows[name][width]) for name in names]
                                for width in widths}}


def save_hawq_latencies(table: LatencyTable, network: Network, path: Path, *, output_bits: int = 8) -> None:
    """Write `hawq_latencies` as JSON, whole or not at all.

    Raises
    ------
    TableError, OutputError : as above, or a file that cannot be written.
    """
    document = hawq_latencies(table, network, output_bits=output_bits)
    write_atomically(path, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


def load_hawq_latencies(path: Path, network: Network, *, hardware: str | None = None) -> LatencyTable:
    """A table of HAWQ's times for this network.

    Raises
    ------
    TableError : no such file, another file, or times that are not those of the network's layers.
    """
    try:
        document = json.loads(read_table(path))
    except ValueError:
        raise TableError("expected a JSON file with latency_int4 and the like, got another file", file=str(path)) from None
    widths = {match[0]: int(match[1]) for key in document if (match := _KEY.fullmatch(key))} \
        if isinstance(document, dict) else {}
    if not widths:
        raise TableError("expected a JSON file with latency_int4 and the like, got another file", file=str(path))
    times: dict[str, dict[tuple[int, int], float]] = {}
    for key, width in widths.items():
        for name, time_ms in _by_name(document, key, network, str(path)).items():
            if not isinstance(time_ms, int | float) or isinstance(time_ms, bool):
                raise TableError(f"{key}: expected milliseconds, got {quoted(time_ms)}", file=str(path), field=name)
            times.setdefault(name, {})[width, width] = float(time_ms)
    return table_of_times(network, hardware or path.name, times)


def _by_name(document: Mapping[str, Any], key: str, network: Network, file: str) -> Mapping[str, Any]:
    """The times of one width by the layer's name."""
    found = document[key]
    if isinstance(found, dict):
        return found
    names = document.get("layers")
    if not isinstance(found, list) or not (names is None or isinstance(names, list)):
        raise TableError("expected a list of milliseconds, or a dictionary by the layer's name", file=file, field=key)
    if names is None:
        every = weighted_layers(network)
        names = every if len(found) == len(every) else every[1:-1]
    if len(found) != len(names):
        raise TableError(f"expected {len(names)} times, got {len(found)}", file=file, field=key)
    return dict(zip(map(str, names), found, strict=True))
