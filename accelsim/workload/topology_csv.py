"""SCALE-Sim topology files: one convolution or one matrix product a line.

::

    Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
    Conv1,      224,          224,         11,            11,           3,        96,         4,

    Layer, M,   N,    K,
    fc,    128, 3072, 768,

The header decides which of the two it is. The layers are independent: each reads a tensor of its own. Sizes
are those of the padded input, since the format has no padding.

References
----------
SCALE-Sim v3 (Raj et al., ISPASS 2025), `topology_utils.py`: output = ceil((input - filter + stride) /
stride), so that a last window that hangs over the edge counts; here it reads pads at the bottom and right. A
layer whose name contains "DP" is depthwise. In the GEMM form M is the number of output rows, N of columns, K
the inner size.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from accelsim.errors import WorkloadError
from accelsim.source_file import read_text
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.operation import Convolution, MatMul
from accelsim.workload.tensor import Tensor

_NAMES = ("layer name", "layer")
_HEIGHT, _WIDTH, _FILTER_HEIGHT, _FILTER_WIDTH = (
    "ifmap height",
    "ifmap width",
    "filter height",
    "filter width",
)
_CONVOLUTION = (_HEIGHT, _WIDTH, _FILTER_HEIGHT, _FILTER_WIDTH, "channels", "num filter")
_PRODUCT = ("m", "n", "k")
_STRIDES = ("strides", "stride", "stride height")
_SECOND_STRIDES = ("stride width",)
_DEPTHWISE_MARK = "DP"

# The format's sizes are those of a layer of a network; more digits are a slip.
_MOST_DIGITS = 12


@dataclass(frozen=True)
class _Row:
    """One line of the file, by column."""

    file: str
    line: int
    cells: Mapping[str, str]

    def size(self, column: str) -> int:
        cell = self.cells.get(column, "")
        if not (cell.isascii() and cell.isdigit()) or len(cell) > _MOST_DIGITS or int(cell) < 1:
            got = f'"{cell}"' if cell else "nothing"
            raise WorkloadError(
                f"expected a whole number of at least 1, got {got}",
                file=self.file,
                line=self.line,
                field=column,
            )
        return int(cell)

    def strides(self) -> tuple[int, int]:
        """(vertical, horizontal); one column serves both."""
        vertical = self.size(next(column for column in _STRIDES if column in self.cells))
        second = next((column for column in _SECOND_STRIDES if self.cells.get(column)), None)
        return vertical, self.size(second) if second else vertical


def import_topology(
    path: str | Path, *, batch: int = 1, weight_bits: int = 8, input_bits: int = 8
) -> Network:
    """A network of the independent layers in a topology file.

    Parameters
    ----------
    path : the file; its name without suffix is the network's.
    batch : images a convolution reads; factor on M of a matrix product.
    weight_bits, input_bits : widths of all weights and of all activations.

    Raises
    ------
    WorkloadError : not such a file, with line and column.
    """
    path = Path(path)
    rows = _rows(path)
    taken: Counter[str] = Counter()
    layers = []
    for row in rows:
        name = _unique(next(row.cells[column] for column in _NAMES if column in row.cells), taken)
        try:
            make = _product if set(_PRODUCT) <= row.cells.keys() else _convolution
            layers.append(make(row, name, batch, weight_bits, input_bits))
        except WorkloadError as error:
            raise WorkloadError(
                error.problem, file=str(path), line=row.line, field=error.field or name
            ) from None
    if not layers:
        raise WorkloadError("expected at least one layer, got only a header", file=str(path))
    return Network(path.stem, tuple(layers), outputs=tuple(layer.output.name for layer in layers))


def _rows(path: Path) -> list[_Row]:
    reader = csv.reader(read_text(path, raises=WorkloadError).splitlines())
    columns: list[str] = []
    rows = []
    try:
        for record in reader:
            cells = [" ".join(cell.split()) for cell in record]
            while cells and not cells[-1]:
                cells.pop()
            if not cells:
                continue
            if not columns:
                columns = _columns(cells, path, reader.line_num)
                continue
            rows.append(_row(cells, columns, path, reader.line_num))
    except csv.Error as error:
        raise WorkloadError(f"not a CSV file: {error}", file=str(path), line=reader.line_num) from None
    if not columns:
        raise WorkloadError("expected a header and layers, got blank lines", file=str(path))
    return rows


def _columns(cells: Sequence[str], path: Path, line: int) -> list[str]:
    """The header's columns in lower case, after a check that one of the two formats is complete."""
    columns = [cell.lower() for cell in cells]
    for column, count in Counter(columns).items():
        if count > 1:
            raise WorkloadError(
                "expected the column once, got it twice", file=str(path), line=line, field=column
            )
    needed: list[tuple[str, ...]] = [_NAMES]
    if {"m", "k"} & set(columns):
        needed += [(column,) for column in _PRODUCT]
    else:
        needed += [*((column,) for column in _CONVOLUTION), _STRIDES]
    for names in needed:
        if not set(names) & set(columns):
            near = get_close_matches(names[0], columns, n=1)
            found = f'"{near[0]}"' if near else "none"
            raise WorkloadError(
                f'expected a column "{names[0]}" in the header, got {found}', file=str(path), line=line
            )
    return columns


def _row(cells: Sequence[str], columns: Sequence[str], path: Path, line: int) -> _Row:
    if len(cells) > len(columns):
        raise WorkloadError(
            f"expected {len(columns)} columns as in the header, got {len(cells)}", file=str(path), line=line
        )
    row = _Row(
        str(path), line, dict(zip(columns, [*cells, *[""] * (len(columns) - len(cells))], strict=True))
    )
    if not next(row.cells[column] for column in _NAMES if column in row.cells):
        raise WorkloadError("expected a name, got nothing", file=str(path), line=line, field="layer name")
    for column, cell in row.cells.items():
        if "sparsity" in column and cell not in ("", "1:1"):
            raise WorkloadError(
                f'expected the dense ratio 1:1, got "{cell}"', file=str(path), line=line, field=column
            )
    return row


def _unique(name: str, taken: Counter[str]) -> str:
    """The name, with a number behind it from its second use on (the format does not ask for unique names)."""
    unique = name
    while taken[unique]:
        taken[name] += 1
        unique = f"{name}_{taken[name]}"
    taken[unique] += 1
    return unique


def _convolution(row: _Row, name: str, batch: int, weight_bits: int, input_bits: int) -> Layer:
    height, width, kernel_height, kernel_width, channels, filters = (
        row.size(column) for column in _CONVOLUTION
    )
    for size, kernel, column in (
        (height, kernel_height, _FILTER_HEIGHT),
        (width, kernel_width, _FILTER_WIDTH),
    ):
        if kernel > size:
            raise WorkloadError(
                f"expected a filter no larger than the input ({size}), got {kernel}",
                file=row.file,
                line=row.line,
                field=column,
            )
    stride = row.strides()
    is_depthwise = _DEPTHWISE_MARK in name
    operation = Convolution(
        batch=batch,
        in_channels=channels,
        out_channels=filters * channels if is_depthwise else filters,
        in_size=(height, width),
        kernel=(kernel_height, kernel_width),
        stride=stride,
        pads=(0, 0, -(height - kernel_height) % stride[0], -(width - kernel_width) % stride[1]),
        groups=channels if is_depthwise else 1,
    )
    weights = (operation.out_channels, channels // operation.groups, kernel_height, kernel_width)
    return Layer(
        name,
        operation,
        (Tensor(f"{name}.input", (batch, channels, height, width), input_bits),),
        Tensor(f"{name}.output", operation.out_shape, input_bits),
        weights=Tensor(f"{name}.weights", weights, weight_bits, is_constant=True),
    )


def _product(row: _Row, name: str, batch: int, weight_bits: int, input_bits: int) -> Layer:
    m, n, k = (row.size(column) for column in _PRODUCT)
    return Layer(
        name,
        MatMul(m=batch * m, k=k, n=n),
        (Tensor(f"{name}.input", (batch * m, k), input_bits),),
        Tensor(f"{name}.output", (batch * m, n), input_bits),
        weights=Tensor(f"{name}.weights", (n, k), weight_bits, is_constant=True),
    )
