"""What both forms of export write beside operators: constants of integers, scales and zero points, each under a free
name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.numerics.qparams import QParams
from accelsim.numerics.qtype import QType
from accelsim.quantization.integer_storage import activation_type, integer_tensor, real_tensor, stored_type
from accelsim.quantization.quantized_model import QuantizedModel

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

_BIAS_TYPE = QType(32, True)


class ExportTensors:
    """The growing graph of one export.

    Parameters
    ----------
    quantized : what is exported.

    Attributes
    ----------
    nodes : so far, in order.
    initializers : by name.
    types : zero point -> the type of its integers, where ONNX stores them in a wider one.
    codes : constant of integers -> what the codes are that stand for them in memory, as the metadata tell it.
    """

    def __init__(self, quantized: QuantizedModel) -> None:
        model = quantized.model
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self.types: dict[str, QType] = {}
        self.codes: dict[str, dict[str, Any]] = {}
        self._taken = {*model.arrays, *model.inputs, *(name for node in model.nodes for name in node.outputs)}
        self._grids: dict[str, tuple[str, str]] = {}

    def free(self, wanted: str) -> str:
        """A name that nothing has yet."""
        while wanted in self._taken:
            wanted += "_"
        self._taken.add(wanted)
        return wanted

    def put(self, op: str, name: str, inputs: tuple[str, ...], outputs: tuple[str, ...],
            attributes: dict[str, Any] | None = None, *, domain: str = "") -> None:
        """Adds an operator."""
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, outputs, name=name, domain=domain, **(attributes or {})))

    def integers(self, name: str, values: ArrayLike, qtype: QType) -> str:
        """Adds a constant of integers; the name that it got."""
        name = self.free(name)
        self.initializers[name] = integer_tensor(name, values, qtype)
        return name

    def reals(self, name: str, values: ArrayLike) -> str:
        """Adds a constant of real numbers; the name that it got."""
        name = self.free(name)
        self.initializers[name] = real_tensor(name, values)
        return name

    def bias(self, name: str, values: NDArray[np.int32]) -> str:
        """Adds a constant of the accumulator's width."""
        return self.integers(f"{name}_quantized", values, _BIAS_TYPE)

    def scales(self, name: str, scale: ArrayLike, point: ArrayLike, qtype: QType) -> tuple[str, str]:
        """Adds scale and zero point of a constant; their names."""
        return self._scales(name, scale, point, qtype, stored_type(qtype))

    def grid(self, group: str, qparams: QParams) -> tuple[str, str]:
        """Names of scale and zero point of a group of activations, which are added once."""
        if group not in self._grids:
            self._grids[group] = self._scales(group, qparams.scale, qparams.zero_point, qparams.qtype,
                                              activation_type(qparams.qtype))
        return self._grids[group]

    def _scales(self, name: str, scale: ArrayLike, point: ArrayLike, qtype: QType, stored: QType) -> tuple[str, str]:
        names = self.reals(f"{name}_scale", scale), self.integers(f"{name}_zero_point", point, stored)
        if stored != qtype:
            self.types[names[1]] = qtype
        return names
