"""Reading a TFLite file: bytes to a `TfliteGraph`, or one line that says why not.

The reader needs no package for it: a file is a FlatBuffer (`flatbuffer`) of the tables of TFLite's published schema,
whose field numbers stand here beside the fields.

Source: tensorflow/tensorflow `tensorflow/lite/schema/schema.fbs` (version 3).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.source_file import read_bytes
from accelsim.workload.tflite.flatbuffer import FlatBuffer, Table
from accelsim.workload.tflite.graph import TfliteGraph, TfliteOperator, TfliteTensor
from accelsim.workload.tflite.schema import ELEMENT_TYPES, OPERATORS, OPTIONS

_IDENTIFIER = b"TFL3"

#: `Buffer.offset` of a buffer that stands in the table itself.
_INSIDE = 1

# QuantizationDetails.BlockwiseQuantization.
_BLOCKWISE = 2


def read_tflite(path: Path) -> TfliteGraph:
    """The main graph of a TFLite model.

    Raises
    ------
    WorkloadError : the file cannot be read, is no TFLite model or a truncated one; a number of a tensor, buffer or operator
        that does not exist; a tensor that is read before anything writes it.
    """
    content = read_bytes(path, raises=WorkloadError)
    buffer = FlatBuffer(content, path)
    if content[4:8] != _IDENTIFIER:
        raise buffer.error(f"expected {_IDENTIFIER!r} at byte 4, got {content[4:8]!r}")
    model = buffer.root
    subgraphs = model.tables(2)
    if not subgraphs:
        raise WorkloadError("expected a model with a graph, got none", file=str(path))
    buffers = model.tables(4)
    codes = [_operator_name(code) for code in model.tables(1)]
    main = subgraphs[0]
    tensors = tuple(_tensor(table, index, buffers, buffer) for index, table in enumerate(main.tables(0)))
    operators = tuple(_operator(table, index, codes, buffer) for index, table in enumerate(main.tables(3)))
    graph = TfliteGraph(tensors, operators, main.integers(1), main.integers(2))
    _check(graph, path)
    return graph


def _operator_name(code: Table) -> str:
    # Numbers above 126 stand in the newer field alone; files of either age have 0 in the other.
    number = max(code.number(0, "int8"), code.number(3, "int32"))
    name = OPERATORS[number] if 0 <= number < len(OPERATORS) else f"OPERATOR_{number}"
    return code.text(1) or name if name == "CUSTOM" else name


def _tensor(table: Table, index: int, buffers: list[Table], buffer: FlatBuffer) -> TfliteTensor:
    name = table.text(3) or f"tensor_{index}"
    number, kind = table.number(2, "uint32"), table.number(1, "int8")
    if not 0 <= kind < len(ELEMENT_TYPES):
        raise _error(buffer, name, f"expected an element type of 0..{len(ELEMENT_TYPES) - 1}, got {kind}")
    if number >= len(buffers):
        raise _error(buffer, name, f"expected a buffer of 0..{len(buffers) - 1}, got {number}")
    quantization = table.table(4)
    blocks = quantization.table(5) if quantization and quantization.number(4, "uint8") == _BLOCKWISE else None
    obstacles = {"is sparse": table.has(6), "has scales a block": blocks is not None,
                 "is stored in another file": bool(table.number(10, "uint32"))}
    return TfliteTensor(
        index, name, table.integers(0), table.integers(7), ELEMENT_TYPES[kind],
        data=_data(buffers[number], buffer) if number else None,
        scales=quantization.vector(2, "float32") if quantization else None,
        zero_points=quantization.vector(3, "int64") if quantization else None,
        quantized_dimension=quantization.number(6, "int32") if quantization else 0,
        scale_block=max(0, blocks.number(2, "int32")) if blocks else 0,
        obstacle=next((words for words, is_met in obstacles.items() if is_met), ""))


def _data(table: Table, buffer: FlatBuffer) -> NDArray[np.uint8] | None:
    """The bytes of a buffer; None for an empty one, which marks a tensor that is computed."""
    found = table.vector(0, "uint8")
    offset, size = table.number(1, "uint64"), table.number(2, "uint64")
    if offset > _INSIDE:
        buffer.require(offset, size)
        found = np.frombuffer(buffer.content, np.uint8, count=size, offset=offset)
    return found if found is not None and found.size else None


def _operator(table: Table, index: int, codes: list[str], buffer: FlatBuffer) -> TfliteOperator:
    code = table.number(0, "uint32")
    if code >= len(codes):
        raise _error(buffer, f"operator {index}", f"expected an operator code of 0..{len(codes) - 1}, got {code}")
    options = _options(table, codes[code], index, buffer)
    return TfliteOperator(index, codes[code], table.integers(1), table.integers(2), options)


def _options(table: Table, op: str, index: int, buffer: FlatBuffer) -> dict[str, Any]:
    number, fields = OPTIONS.get(op, (0, {}))
    if not fields:
        return {}
    stated = table.number(3, "uint8")
    options = table.table(4) if stated else None
    if options is not None and stated != number:
        raise _error(buffer, f"{op.lower()}_{index}", f"expected options of kind {number}, got {stated}")
    if options is None:
        return {name: default for name, (_, _, default) in fields.items()}
    return {name: options.number(place, kind, default) for name, (place, kind, default) in fields.items()}


def _check(graph: TfliteGraph, path: Path) -> None:
    """That all numbers are those of tensors, and that each tensor is there before it is read."""
    there = {tensor.index for tensor in graph.tensors if tensor.data is not None} | set(graph.inputs)
    written: set[int] = set()
    for tensor in (*graph.inputs, *graph.outputs):
        _check_number(tensor, graph, path, "the graph")
    for operator in graph.operators:
        for tensor in (*operator.given(), *operator.outputs):
            _check_number(tensor, graph, path, operator.label)
        for tensor in operator.outputs:
            if tensor in written or tensor in there:
                problem = "two operators write" if tensor in written else "writes the input or constant"
                raise WorkloadError(f'{problem} "{graph.tensors[tensor].name}"', file=str(path), field=operator.label)
            written.add(tensor)
    _check_order(graph, written, path)


def _check_number(tensor: int, graph: TfliteGraph, path: Path, where: str) -> None:
    if not 0 <= tensor < len(graph.tensors):
        raise WorkloadError(f"expected a tensor of 0..{len(graph.tensors) - 1}, got {tensor}", file=str(path), field=where)


def _check_order(graph: TfliteGraph, written: set[int], path: Path) -> None:
    """TFLite runs operators in the order of the file. What nothing writes is a state or an empty constant."""
    pending = set(written)
    for operator in graph.operators:
        for tensor in operator.given():
            if tensor in pending:
                raise WorkloadError(f'reads the tensor "{graph.tensors[tensor].name}" before it is written', file=str(path),
                                    field=operator.label)
        pending.difference_update(operator.outputs)


def _error(buffer: FlatBuffer, name: str, problem: str) -> WorkloadError:
    return WorkloadError(problem, file=str(buffer.path), field=name)

