"""The state of one conversion: ONNX nodes so far, and how each TFLite tensor lies in them.

TFLite's images lie as (N, H, W, C), ONNX's as (N, C, H, W). A tensor is kept in the order in which it was written, and
transposed where an operator wants the other one; operators that do not care take it as it is. Inputs and outputs of the
network keep TFLite's order, so that the same arrays feed both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import WorkloadError
from accelsim.numerics.qparams import QParams
from accelsim.workload.onnx.graph import Node
from accelsim.workload.tensor import Shape
from accelsim.workload.tflite.graph import TfliteOperator, TfliteTensor
from accelsim.workload.tflite.quantization import integers_of, weight_parameters
from accelsim.workload.tflite.translation import Translation

Array = NDArray[Any]

#: From (N, H, W, C) to (N, C, H, W), and back.
TO_IMAGE, FROM_IMAGE = (0, 3, 1, 2), (0, 2, 3, 1)

_FLOATS = {"float32": "<f4", "float16": "<f2", "float64": "<f8"}

# TFLite's fused activations as ONNX operators, with bounds of a Clip.
_ACTIVATIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "relu": ("Relu", ()), "relu6": ("Clip", (0.0, 6.0)), "relu_n1_to_1": ("Clip", (-1.0, 1.0))}


class Conversion:
    """Builds ONNX nodes from TFLite operators.

    Parameters
    ----------
    translation : the model, as the importer of networks sees it.
    """

    def __init__(self, translation: Translation) -> None:
        self.translation = translation
        self.graph = translation.graph
        self.nodes: list[Node] = []
        self.arrays: dict[str, Array] = {}
        #: Tensor -> its name in TFLite's order, and as an image.
        self._plain: dict[int, str] = {}
        self._images: dict[int, str] = {}
        self._taken = {translation.name(tensor.index) for tensor in self.graph.tensors}
        for number in self.graph.inputs:
            self._plain[number] = translation.name(number)

    def shape(self, number: int) -> Shape:
        return self.translation.shape(number)

    def is_constant(self, number: int) -> bool:
        return self.graph.tensors[number].data is not None

    def is_image(self, number: int) -> bool:
        """Whether a tensor was written as an image."""
        return number in self._images and number not in self._plain

    def free(self, wanted: str) -> str:
        """A name that nothing has yet."""
        while wanted in self._taken:
            wanted += "_"
        self._taken.add(wanted)
        return wanted

    def constant(self, wanted: str, value: ArrayLike) -> str:
        """Adds a constant: real numbers as float32, integers as int64."""
        array = np.asarray(value)
        name = self.free(wanted)
        self.arrays[name] = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        return name

    def array(self, number: int) -> Array:
        """The numbers of a constant: real ones, or integers without scales; with scales, the real ones that they stand for.

        (A float network whose weights are stored as integers is run by LiteRT with activations that it quantizes on the way.
        Here it is the network of these weights in floating point.)

        Raises
        ------
        WorkloadError : a tensor that is computed, of another type, or without all of its numbers.
        """
        tensor = self.graph.tensors[number]
        if tensor.data is None:
            raise WorkloadError("expected a constant, got a computed tensor", field=tensor.name)
        if not tensor.type.is_float:
            return np.asarray(integers_of(tensor)) if tensor.scales is None else _dequantized(tensor)
        return _reals(tensor)

    def plain(self, number: int) -> str:
        """A tensor in TFLite's order."""
        if number not in self._plain:
            if self.is_constant(number):
                self._plain[number] = self.constant(f"{self.translation.name(number)}_constant", self.array(number))
            elif number in self._images:
                name = self.translation.name(number)
                result = name if name != self._images[number] else self.free(f"{name}_nhwc")
                self.put("Transpose", f"{name}_nhwc", (self._images[number],), result, perm=FROM_IMAGE)
                self._plain[number] = result
            else:
                raise self._unwritten(number)
        return self._plain[number]

    def image(self, number: int) -> str:
        """A tensor of four dimensions as (N, C, H, W)."""
        if number not in self._images:
            name = self.translation.name(number)
            if self.is_constant(number):
                self._images[number] = self.constant(f"{name}_constant", self.array(number).transpose(TO_IMAGE))
            elif number in self._plain:
                result = self.free(f"{name}_nchw")
                self.put("Transpose", f"{name}_nchw", (self._plain[number],), result, perm=TO_IMAGE)
                self._images[number] = result
            else:
                raise self._unwritten(number)
        return self._images[number]

    def _unwritten(self, number: int) -> WorkloadError:
        return WorkloadError(f'reads the tensor "{self.translation.name(number)}", which nothing writes',
                             file=str(self.translation.path))

    def put(self, op: str, name: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Adds an operator; its output."""
        from onnx.helper import make_attribute

        self.nodes.append(Node(op, name, tuple(inputs), (output,),
                               {key: make_attribute(key, value) for key, value in attributes.items()}))
        return output

    def put_result(self, operator: TfliteOperator, op: str, inputs: Sequence[str], *, is_image: bool, output: int = 0,
                   fused: str = "", **attributes: Any) -> None:
        """Adds the operator that writes one of the outputs, with its fused activation.

        Parameters
        ----------
        is_image : whether it writes (N, C, H, W).
        fused : the activation, "" for none.
        """
        name = self._result_name(operator.outputs[output], is_image)
        label = operator.label if output == 0 else f"{operator.label}_{output}"
        if not fused:
            self.put(op, label, inputs, name, **attributes)
            return
        between = self.put(op, label, inputs, self.free(f"{name}_unclamped"), **attributes)
        clamp, bounds = _ACTIVATIONS[fused]
        ends = [self.constant(f"{label}_{word}", bound) for word, bound in zip(("low", "high"), bounds, strict=False)]
        self.put(clamp, f"{label}_{fused}", (between, *ends), name)

    def _result_name(self, number: int, is_image: bool) -> str:
        """The name of a tensor that is written now; an output of the network has TFLite's name in TFLite's order."""
        name = self.translation.name(number)
        if not is_image:
            self._plain[number] = name
            return name
        self._images[number] = self.free(f"{name}_nchw") if number in self.graph.outputs else name
        return self._images[number]

    def between(self, operator: TfliteOperator, word: str) -> str:
        """A name for a result inside an operator."""
        return self.free(f"{self.translation.name(operator.outputs[0])}_{word}")


def _dequantized(tensor: TfliteTensor) -> Array:
    """Weights that are stored as integers."""
    dimension = tensor.quantized_dimension
    channels = tensor.shape[dimension] if 0 <= dimension < len(tensor.shape) else 0
    grid = weight_parameters(tensor, channels=channels, dimension=dimension, is_symmetric=False)
    axis = None if grid.axis is None else dimension
    spread = QParams(scale=grid.scale, zero_point=grid.zero_point, qtype=grid.qtype, axis=axis)
    return spread.dequantize(integers_of(tensor), dtype=np.float32)


def _reals(tensor: TfliteTensor) -> Array:
    if tensor.type.name not in _FLOATS or tensor.obstacle:
        found = tensor.obstacle or f"has the type {tensor.type.name}"
        raise WorkloadError(f"expected real numbers, got a tensor that {found}", field=tensor.name)
    assert tensor.data is not None
    kind = np.dtype(_FLOATS[tensor.type.name])
    if tensor.data.size != tensor.elements * kind.itemsize:
        raise WorkloadError(f"expected {tensor.elements * kind.itemsize} bytes of values, got {tensor.data.size}",
                            field=tensor.name)
    return np.frombuffer(tensor.data.tobytes(), kind).reshape(tensor.shape).astype(np.float32)
