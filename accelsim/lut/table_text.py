"""A latency table as CSV: lines ``# key: value`` that say what it was made of, then a row a layer and choice of bits.

``pandas.read_csv(path, comment="#")`` reads the rows; names of layers stand in quotes, so that a ``#`` in them begins no
comment.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from accelsim.errors import TableError
from accelsim.lut.layer_cost import LayerCost
from accelsim.lut.operand_bits import OperandBits
from accelsim.lut.table_header import TableHeader
from accelsim.problem import quoted
from accelsim.source_file import read_bytes

#: The first line of a table, and the version of this layout.
TITLE, LAYOUT = "accelsim latency table", 1

#: A table of a hundred layers at a thousand choices of bits takes some 20 MB.
_MOST_BYTES = 2**28

_BITS = ("weight_bits", "input_bits", "output_bits", "accumulator_bits")

#: The order of the columns: what a reader looks for first.
COLUMNS = ("layer", *_BITS, "effective_weight_bits", "effective_input_bits", "cycles", "microseconds", "energy_pj",
           "dram_bytes", "weight_bytes", "buffer_peak_bytes", "bound", "macs", "compute_cycles", "ideal_cycles",
           "dram_cycles", "peak_macs_per_cycle")

_FLOATS = frozenset({"energy_pj", "peak_macs_per_cycle"})
_OPTIONAL = frozenset({"effective_weight_bits", "effective_input_bits"})
_HEADER_TEXTS = ("accelsim_version", "network", "network_fingerprint", "hardware", "hardware_fingerprint", "energy_unit")


@dataclass(frozen=True, slots=True)
class TableText:
    """What a text says.

    Parameters
    ----------
    header : its first lines.
    costs : its rows in their order.
    """

    header: TableHeader
    costs: Mapping[tuple[str, OperandBits], LayerCost]

    @staticmethod
    def rows(header: TableHeader, costs: Iterable[tuple[str, OperandBits, LayerCost]]) -> list[dict[str, Any]]:
        """Flat records with the columns of the file."""
        return [_row(layer, bits, cost, header.clock_hz) for layer, bits, cost in costs]

    @staticmethod
    def write(header: TableHeader, rows: Iterable[Mapping[str, Any]]) -> str:
        """The text."""
        lines = [f"# {key}: {value}" for key, value in _head(header).items()] + [",".join(COLUMNS)]
        lines += [",".join(_cell(row[column], is_name=column == "layer") for column in COLUMNS) for row in rows]
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str, *, file: str) -> TableText:
        """What a text says.

        Raises
        ------
        TableError : another text, or one with a mistake; the message names the line.
        """
        lines = text.splitlines(keepends=True)
        head: dict[str, tuple[int, str]] = {}
        while len(head) < len(lines) and lines[len(head)].startswith("#"):
            number = len(head) + 1
            key, separator, value = lines[number - 1][1:].strip().partition(": ")
            if (not separator and not key.endswith(":")) or key in head:
                _refuse(f'expected a line "# key: value" of a new key, got {quoted(key)}', file, number)
            head[key.removesuffix(":")] = (number, value)
        header = _header(head, file)
        return cls(header, _costs(lines[len(head):], len(head), file))


def read_table(path: Path) -> str:
    """The text of a table's file.

    Raises
    ------
    TableError : no such file, or one that is no text.
    """
    content = read_bytes(path, raises=TableError, most=_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise TableError("expected a table of at most 256 MiB, got a larger file", file=str(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TableError("expected a latency table in UTF-8, got another file", file=str(path)) from None


def _cell(value: object, *, is_name: bool) -> str:
    if is_name:
        quote = '"'
        return quote + str(value).replace(quote, 2 * quote) + quote
    return "" if value is None else str(value)


def _row(layer: str, bits: OperandBits, cost: LayerCost, clock_hz: int) -> dict[str, Any]:
    row: dict[str, Any] = {"layer": layer} | {name: getattr(bits, name) for name in _BITS}
    row |= {field.name: getattr(cost, field.name) for field in fields(cost)}
    row["microseconds"] = cost.microseconds(clock_hz=clock_hz)
    return {column: row[column] for column in COLUMNS}


def _head(header: TableHeader) -> dict[str, Any]:
    return {
        TITLE: LAYOUT, **{name: getattr(header, name) for name in _HEADER_TEXTS},
        "options": json.dumps(dict(header.options)), "options_fingerprint": header.options_fingerprint,
        "clock_hz": header.clock_hz, "accumulator_bits": header.accumulator_bits,
    }


def _header(head: Mapping[str, tuple[int, str]], file: str) -> TableHeader:
    if TITLE not in head:
        raise TableError(f'expected a latency table, which begins with "# {TITLE}: {LAYOUT}", got another file', file=file)
    if head[TITLE][1] != str(LAYOUT):
        _refuse(f"expected layout {LAYOUT}, got {quoted(head[TITLE][1])}", file, head[TITLE][0])
    for key in (*_HEADER_TEXTS, "options", "options_fingerprint", "clock_hz", "accumulator_bits"):
        if key not in head:
            raise TableError(f'expected a line "# {key}: ...", got none', file=file)
    texts: dict[str, Any] = {name: head[name][1] for name in _HEADER_TEXTS}
    clock_hz, accumulator_bits = (_whole(head[name][1], name, file, head[name][0])
                                  for name in ("clock_hz", "accumulator_bits"))
    line, text = head["options"]
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, dict) or not all(isinstance(value, str) for value in options.values()):
        _refuse(f"options: expected a JSON object of texts, got {quoted(text)}", file, line)
    if clock_hz < 1:
        _refuse(f"clock_hz: expected at least 1, got {clock_hz}", file, head["clock_hz"][0])
    header = TableHeader(**texts, options=options, clock_hz=clock_hz, accumulator_bits=accumulator_bits)
    if head["options_fingerprint"][1] != header.options_fingerprint:
        _refuse("options_fingerprint: expected that of the options above, got another one", file,
                head["options_fingerprint"][0])
    return header


def _costs(lines: list[str], skipped: int, file: str) -> dict[tuple[str, OperandBits], LayerCost]:
    reader = csv.reader(lines, strict=True)
    costs: dict[tuple[str, OperandBits], LayerCost] = {}
    names: tuple[str, ...] | None = None
    try:
        for cells in reader:
            line = skipped + reader.line_num
            if names is None:
                names = tuple(cells)
                if names != COLUMNS:
                    _refuse(f"expected the columns {', '.join(COLUMNS)}", file, line)
                continue
            if len(cells) != len(COLUMNS):
                _refuse(f"expected {len(COLUMNS)} columns, got {len(cells)}", file, line)
            layer, bits, cost = _parsed(dict(zip(COLUMNS, cells, strict=True)), file, line)
            if (layer, bits) in costs:
                _refuse(f"{layer}: expected one row at {bits}, got two", file, line)
            costs[layer, bits] = cost
    except csv.Error as error:
        _refuse(f"expected comma-separated values: {error}", file, skipped + reader.line_num)
    if not costs:
        raise TableError("expected at least one row, got none", file=file)
    return costs


def _parsed(cells: Mapping[str, str], file: str, line: int) -> tuple[str, OperandBits, LayerCost]:
    if not cells["layer"]:
        _refuse("expected a layer's name, got none", file, line)
    widths = {name: _whole(cells[name], name, file, line) if cells[name] else None for name in _BITS}
    if widths["input_bits"] is None or widths["output_bits"] is None:
        _refuse("expected input_bits and output_bits, got an empty cell", file, line)
    try:
        bits = OperandBits(**widths)  # type: ignore[arg-type]  # None was refused above
    except TableError as error:
        raise TableError(error.problem, file=file, line=line, field=error.field) from None
    values: dict[str, Any] = {}
    for field in fields(LayerCost):
        text = cells[field.name]
        if field.name == "bound":
            if text not in ("compute", "memory"):
                _refuse(f"bound: expected compute or memory, got {quoted(text)}", file, line)
            values["bound"] = text
        elif field.name in _FLOATS:
            values[field.name] = _real(text, field.name, file, line)
        else:
            values[field.name] = None if not text and field.name in _OPTIONAL else _whole(text, field.name, file, line)
    return cells["layer"], bits, LayerCost(**values)


def _whole(text: str, name: str, file: str, line: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        _refuse(f"{name}: expected a whole number of at least 0, got {quoted(text)}", file, line)
    return int(text)


def _real(text: str, name: str, file: str, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        _refuse(f"{name}: expected a number of at least 0, got {quoted(text)}", file, line)
    return value


def _refuse(problem: str, file: str, line: int) -> NoReturn:
    raise TableError(problem, file=file, line=line)
