"""HAQ's latency tables: an array [layer, weight bits - 1, activation bits - 1] of milliseconds, as ``.npy``.

HAQ (Wang et al. 2019, arXiv 1811.08886; github.com/mit-han-lab/haq, ``lib/env/linear_quantize_env.py``) numbers the layers
with weights in the order of the network, reads the cell at the bits of a layer's weights and of its inputs, takes a layer's
last cell for 8 bits, and adds the cells up. It compares sums only, so that the unit is its user's; here the millisecond.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import TableError
from accelsim.lut.latency_table import LatencyTable
from accelsim.lut.measured_times import milliseconds, nearest_wider, table_of_times
from accelsim.lut.operand_bits import OperandBits
from accelsim.whole_file import write_atomically
from accelsim.workload.network import Network

_MOST_BITS = 64


def haq_array(table: LatencyTable, network: Network, *, output_bits: int = 8) -> NDArray[np.float64]:
    """The table as HAQ reads it, up to the widest bits that it has for all layers.

    A width that the table lacks has the time of the next wider one, at which such operands would be stored. Layers without
    constant weights have no place in HAQ's table: their time is missing in its sums.

    Parameters
    ----------
    output_bits : of what every layer writes, since HAQ's cells know weights and inputs alone.

    Raises
    ------
    TableError : a table of another network, or without rows of these outputs.

    Examples
    --------
    >>> from accelsim.workload.load import load_network
    >>> network = load_network("mlperf_tiny_autoencoder")
    >>> table = table_of_times(network, "T4", {layer.name: {(8, 8): 0.5, (4, 4): 0.25} for layer in network.layers})
    >>> array = haq_array(table, network)
    >>> array.shape, array[[0, 0, 9], [3, 1, -1], [3, 1, -1]].tolist()
    ((10, 8, 8), [0.25, 0.25, 0.5])
    """
    table.check(network=network)
    names = weighted_layers(network)
    widths = [min(max(getattr(bits, field) or 0 for bits in table.choices(name)) for name in names)
              for field in ("weight_bits", "input_bits")]
    array = np.empty((len(names), *widths))
    for place, name in enumerate(names):
        accumulators = table.choices(name)[-1].accumulator_bits
        for weight in range(1, widths[0] + 1):
            for given in range(1, widths[1] + 1):
                row = nearest_wider(table, name, OperandBits(weight, given, output_bits, accumulators))
                array[place, weight - 1, given - 1] = milliseconds(table, name, row)
    return array


def save_haq_table(table: LatencyTable, network: Network, path: Path, *, output_bits: int = 8) -> None:
    """Write `haq_array` as ``.npy``, whole or not at all.

    Raises
    ------
    TableError, OutputError : as above, or a file that cannot be written.
    """
    content = io.BytesIO()
    np.save(content, haq_array(table, network, output_bits=output_bits), allow_pickle=False)
    write_atomically(path, content.getvalue())


def load_haq_table(path: Path, network: Network, *, hardware: str | None = None) -> LatencyTable:
    """A table of HAQ's for this network: milliseconds, cells that are not finite left out.

    Raises
    ------
    TableError : no such file, or an array of another shape than the network's.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise TableError("expected a file, found none of that name", file=str(path)) from None
    except Exception:  # numpy has no error of its own for a damaged file
        raise TableError("expected an .npy file of numbers, got another file or a damaged one", file=str(path)) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise TableError("expected an .npy file of numbers, got another file or a damaged one", file=str(path))
    names = weighted_layers(network)
    fits = array.ndim == 3 and array.shape[0] == len(names) and 1 <= min(array.shape) <= max(array.shape[1:]) <= _MOST_BITS
    if not fits:
        raise TableError(f"expected an array [layer, weight bits, activation bits] of the {len(names)} layers with weights "
                         f"of {network.name}, got the shape {list(array.shape)}", file=str(path))
    times = {name: {(w + 1, a + 1): float(cells[w, a]) for w, a in np.argwhere(np.isfinite(cells)).tolist()}
             for name, cells in zip(names, array, strict=True)}
    for name, cells in times.items():
        if not cells:
            raise TableError("expected at least one finite time, got none", file=str(path), field=name)
    return table_of_times(network, hardware or path.name, times)


def weighted_layers(network: Network) -> list[str]:
    """Names of the grid layers with constant weights, in order: the layers that HAQ and HAWQ number."""
    return [layer.name for layer in network.layers if layer.is_on_grid and layer.weights is not None]
