"""TFLite models: the network that they time as, and the same network with its integers.

Views (RESHAPE, SQUEEZE, ...) and constant subgraphs vanish; so do QUANTIZE and DEQUANTIZE between integers and real
numbers. Every other operator is a layer of its own, as LiteRT runs it. Images lie as (N, H, W, C) in a model; the shapes of
a network's tensors are NCHW, its integers stay as they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from accelsim.errors import AccelsimError, WorkloadError
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.rule import Rule
from accelsim.numerics.rule_names import SchemeName
from accelsim.workload.network import Network
from accelsim.workload.quantized_network import QuantizedLayer, QuantizedNetwork
from accelsim.workload.tflite import convolutions as convolutions
from accelsim.workload.tflite import products as products
from accelsim.workload.tflite import vector_operators as vector
from accelsim.workload.tflite.batch import with_batch
from accelsim.workload.tflite.edges import model_inputs, model_outputs, sources
from accelsim.workload.tflite.file import read_tflite
from accelsim.workload.tflite.graph import ABSENT, TfliteOperator
from accelsim.workload.tflite.grid_kernels import rule_of
from accelsim.workload.tflite.moves import MOVES, move
from accelsim.workload.tflite.translation import Draft, NotSimulated, Translation
from accelsim.workload.tflite.views import is_input_quantization

_Translator = Callable[[TfliteOperator, Translation], None]

# Operator -> its translator, and how many inputs it cannot do without.
_TRANSLATORS: dict[str, tuple[_Translator, int]] = {
    "CONV_2D": (convolutions.convolution, 2),
    "DEPTHWISE_CONV_2D": (convolutions.depthwise_convolution, 2),
    "TRANSPOSE_CONV": (convolutions.transposed_convolution, 3),
    "FULLY_CONNECTED": (products.fully_connected, 2),
    "BATCH_MATMUL": (products.batch_matmul, 2),
    **dict.fromkeys(vector.ACTIVATIONS, (vector.activation, 1)),
    "PRELU": (vector.activation, 2),
    **dict.fromkeys(vector.ELEMENTWISE, (vector.elementwise, 1)),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), (vector.pooling, 1)),
    **dict.fromkeys(vector.REDUCTIONS, (vector.reduction, 2)),
    **dict.fromkeys(("SOFTMAX", "LOG_SOFTMAX"), (vector.softmax, 1)),
    **dict.fromkeys(("L2_NORMALIZATION", "LOCAL_RESPONSE_NORMALIZATION"), (vector.normalization, 1)),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), (vector.resize, 2)),
    **dict.fromkeys(MOVES, (move, 1)),
    **dict.fromkeys(("TRANSPOSE", "SPLIT", "PAD", "MIRROR_PAD", "GATHER", "TILE", "BROADCAST_TO", "REVERSE_V2"), (move, 2)),
    **dict.fromkeys(("SLICE", "SPLIT_V", "PADV2"), (move, 3)),
    "STRIDED_SLICE": (move, 4),
}

# Their last input may be left out.
_WITH_BIASES = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"})


def import_tflite(path: str | Path, *, batch: int | None = None, weight_bits: int = 8, input_bits: int = 8) -> Network:
    """A network from a TFLite file, float or quantized; timing alone: weights and scales are not looked at.

    Operators that the machine does not execute are counted in `Network.unsupported`, and what they write counts as coming
    from outside.

    Parameters
    ----------
    path : the model.
    batch : first dimension of every input, where the model states 1.
    weight_bits, input_bits : widths of weights and activations that are floating-point in the model.

    Raises
    ------
    WorkloadError : not a TFLite model, a size that is not known before the run, or nothing in it that can be executed.
    """
    path = Path(path)
    return _network(_translated(path, batch=batch, weight_bits=weight_bits, input_bits=input_bits))


def import_quantized_tflite(path: str | Path) -> QuantizedNetwork:
    """The network of `import_tflite` with the integers of an int8, uint8 or int16x8 model.

    Raises
    ------
    WorkloadError : as `import_tflite`; an operator that is not simulated or has no integer kernel; real numbers beyond the
        model's edges; scales, zero points, weights or biases that TFLite does not take.
    """
    path = Path(path)
    translation = _translated(path, batch=None, weight_bits=8, input_bits=8)
    network = _network(translation)
    if network.unsupported:
        found = ", ".join(f"{name} x{count}" for name, count in network.unsupported.items())
        raise WorkloadError(f"expected operators that accelsim executes with integers, got {found}", file=str(path))
    rule = _rule(translation)
    outside = sources(translation)
    layers = {draft.layer.name: _quantized_layer(draft, translation, rule, outside) for draft in translation.drafts}
    try:
        inputs, outputs = model_inputs(translation, outside), model_outputs(translation)
    except AccelsimError as error:
        raise WorkloadError(error.problem, file=str(path), field=error.field) from None
    return QuantizedNetwork(network, layers, inputs=inputs, outputs=outputs, rule=rule, runtime="litert", path=str(path))


def _translated(path: Path, *, batch: int | None, weight_bits: int, input_bits: int) -> Translation:
    graph = read_tflite(path)
    if not graph.outputs:
        raise WorkloadError("expected a graph with at least one output, got none", file=str(path))
    if batch is not None:
        graph = with_batch(graph, batch, path)
    translation = Translation(graph, path, weight_bits=weight_bits, input_bits=input_bits)
    _check_inputs(translation)
    unknown: set[int] = set()
    for operator in translation.operators:
        _translate(operator, translation, unknown)
    if not translation.drafts:
        found = ", ".join(f"{name} x{count}" for name, count in sorted(translation.unsupported.items()))
        raise WorkloadError(
            f"expected at least one operator that accelsim executes, got {found or 'only views and constants'}",
            file=str(path))
    return translation


def _network(translation: Translation) -> Network:
    return Network(
        translation.path.stem, tuple(draft.layer for draft in translation.drafts), outputs=translation.outputs,
        unsupported=dict(sorted((+translation.unsupported).items())))


def _check_inputs(translation: Translation) -> None:
    """That sizes of the inputs which may change are those of the batch: the others' stated sizes mean nothing."""
    for number in translation.graph.inputs:
        tensor = translation.tensor(number)
        if not tensor.is_sized or any(size < 1 for size in tensor.signature[1:]):
            shown = list(tensor.signature or tensor.shape)
            raise WorkloadError(f"expected sizes that are fixed beyond the batch, got {shown}", file=str(translation.path),
                                field=f'input "{tensor.name}"')


def _translate(operator: TfliteOperator, translation: Translation, unknown: set[int]) -> None:
    """One operator to its layers.

    `unknown` collects tensors whose shape only an operator that is not simulated knows.
    """
    if is_input_quantization(operator, translation.graph):
        return
    source = translation.view_source(operator)
    if unknown.intersection(operator.inputs) or (operator.op not in _TRANSLATORS and source is None):
        unknown.update(number for number in operator.outputs if not translation.tensor(number).is_sized)
        translation.unsupported[operator.op] += source is None
        return
    _check_shapes(operator, translation)
    if source is not None:
        _check_view(operator, source, translation)
        return
    translator, required = _TRANSLATORS[operator.op]
    needed = operator.inputs[:required] if operator.op in _WITH_BIASES else operator.inputs
    if len(operator.inputs) < required or ABSENT in needed:
        count = max(required, len(needed))
        raise translation.error(f"expected a tensor in each of the first {count} places, got {list(operator.inputs)}",
                                operator)
    try:
        translator(operator, translation)
    except NotSimulated:
        translation.unsupported[operator.op] += 1
    except AccelsimError as error:
        raise _placed(error, translation, operator) from None


def _check_shapes(operator: TfliteOperator, translation: Translation) -> None:
    for number in (*operator.given(), *operator.outputs):
        tensor = translation.tensor(number)
        if not tensor.is_sized and not translation.is_constant(number):
            raise translation.error(f'expected a shape of "{tensor.name}" that is known before the run, got '
                                    f"{list(tensor.shape)}", operator)


def _check_view(operator: TfliteOperator, source: int, translation: Translation) -> None:
    read, written = translation.tensor(source), translation.tensor(operator.outputs[0])
    if read.elements != written.elements:
        raise translation.error(f"expected {read.elements} elements as in {list(read.shape)}, got {list(written.shape)}",
                                operator)
    if operator.op not in ("QUANTIZE", "DEQUANTIZE", "CAST") and read.type != written.type:
        raise translation.error(f"expected an output of the input's type {read.type.name}, got {written.type.name}",
                                operator)


def _rule(translation: Translation) -> Rule:
    """The rule of the model's grid layers, of which there can be one alone."""
    found: dict[SchemeName, TfliteOperator] = {}
    for draft in translation.drafts:
        name = rule_of(draft.operator, translation) if draft.layer.is_on_grid else None
        if name is not None:
            found.setdefault(name, draft.operator)
    if len(found) > 1:
        (first, operator), (second, other) = found.items()
        raise translation.error(f"expected accumulators under one rule, {first} as {operator.label}, got {second}", other)
    if found:
        return Rule(next(iter(found)))
    is_wide = any(draft.layer.is_on_grid and draft.layer.input_bits == 16 for draft in translation.drafts)
    return Rule("tflite_int16x8" if is_wide else "litert_reference")


def _quantized_layer(draft: Draft, translation: Translation, rule: Rule, outside: Collection[int]) -> QuantizedLayer:
    try:
        kernel = draft.kernel()
        if isinstance(kernel, GridKernel):
            # Refuses scales that the rule cannot encode now, and not when the layer runs.
            kernel.requantization(rule)
        for number in draft.inputs:
            translation.parameters(number)
            if not translation.is_written(number) and translation.root(number) not in outside:
                raise WorkloadError(f'reads the tensor "{translation.name(number)}", which nothing writes')
        return QuantizedLayer(
            kernel, input_shapes=draft.input_shapes, output_shape=translation.shape(draft.output),
            output=translation.parameters(draft.output), model_output=str(draft.output))
    except AccelsimError as error:
        raise _placed(error, translation, draft.operator) from None


def _placed(error: AccelsimError, translation: Translation, operator: TfliteOperator) -> WorkloadError:
    """The error with the file and the operator in front."""
    field = operator.label if not error.field or error.field == operator.label else f"{operator.label}: {error.field}"
    return WorkloadError(error.problem, file=str(translation.path), field=field)
