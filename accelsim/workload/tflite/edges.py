"""The inputs and outputs of a TFLite model with integers: what its network reads from outside and leaves behind.

A model may take real numbers and quantize them at once, and give real numbers that it dequantizes at last; the network keeps
to the integers.
"""

from __future__ import annotations

from accelsim.errors import WorkloadError
from accelsim.workload.quantized_network import ModelInput, ModelOutput
from accelsim.workload.tflite.translation import Translation
from accelsim.workload.tflite.views import is_input_quantization


def sources(translation: Translation) -> dict[int, int]:
    """Tensor that comes from outside -> the model's input that it becomes of: itself, or the real numbers before it."""
    found = {number: number for number in translation.graph.inputs}
    for operator in translation.operators:
        if is_input_quantization(operator, translation.graph):
            found[operator.outputs[0]] = operator.inputs[0]
    return found


def model_inputs(translation: Translation, outside: dict[int, int]) -> tuple[ModelInput, ...]:
    """The inputs that layers read.

    Parameters
    ----------
    outside : as `sources` gives it.

    Raises
    ------
    WorkloadError, NumericsError : an input without a sound scale and zero point.
    """
    read = {translation.root(number) for draft in translation.drafts for number in draft.inputs}
    return tuple(
        ModelInput(name=translation.name(source), tensor=translation.name(number), shape=translation.shape(source),
                   qparams=translation.parameters(number), is_float=source != number, rounding="half_away")
        for number, source in outside.items() if number in read)


def model_outputs(translation: Translation) -> tuple[ModelOutput, ...]:
    """The outputs that layers write.

    Raises
    ------
    WorkloadError, NumericsError : an output of real numbers that are computed, or without a sound scale and zero point.
    """
    found = []
    for number in translation.graph.outputs:
        if not translation.is_written(number):
            continue
        integers = _dequantized(translation, number)
        found.append(ModelOutput(
            name=translation.name(number), tensor=translation.name(translation.root(number)),
            shape=translation.shape(number), qparams=translation.parameters(integers), is_float=integers != number))
    return tuple(found)


def _dequantized(translation: Translation, number: int) -> int:
    """The integers that an output's real numbers are made from, or the output itself."""
    views = {operator.outputs[0]: source for operator in translation.operators
             if (source := translation.view_source(operator)) is not None}
    integers = number
    while translation.tensor(integers).type.is_float:
        if integers not in views:
            raise WorkloadError("expected real numbers that are made from integers, got computed ones",
                                file=str(translation.path), field=f'output "{translation.name(number)}"')
        integers = views[integers]
    return integers
