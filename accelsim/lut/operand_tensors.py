"""Which tensors of a layer have which of its `OperandBits`."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.lut.operand_bits import OperandBits
from accelsim.workload.layer import Layer
from accelsim.workload.operation import Move
from accelsim.workload.tensor import Tensor


@dataclass(frozen=True, slots=True)
class OperandTensors:
    """The tensors whose width a choice of bits sets.

    A layer of the vector unit keeps the widths of its own constants (scales, tables), and an embedding that of the indices
    that it reads: they are no activations.

    Parameters
    ----------
    weights : the constant weights of a grid layer, or the second activation of a matrix product of two; else None.
    inputs : the activations that share `input_bits`; none for an embedding.
    output : the activation that it writes.

    Examples
    --------
    >>> from accelsim.workload.operation import MatMul
    >>> q, k, s = Tensor("q", (4, 8), 8), Tensor("k", (8, 4), 8), Tensor("s", (4, 4), 8)
    >>> found = OperandTensors.of(Layer("scores", MatMul(m=4, k=8, n=4), (q, k), s))
    >>> found.weights.name, [tensor.name for tensor in found.inputs], found.output.name
    ('k', ['q'], 's')
    """

    weights: Tensor | None
    inputs: tuple[Tensor, ...]
    output: Tensor

    @classmethod
    def of(cls, layer: Layer) -> OperandTensors:
        if layer.is_on_grid:
            return cls(layer.stationary, layer.inputs[:1], layer.output)
        reads_indices = isinstance(layer.operation, Move) and layer.operation.kind == "gather" and layer.weights is not None
        return cls(None, () if reads_indices else layer.inputs, layer.output)


def own_bits(layer: Layer) -> OperandBits:
    """The widths that a layer has; of several inputs of the vector unit the first one's.

    >>> from accelsim.workload.operation import Softmax
    >>> x, y = Tensor("x", (1, 10), 4), Tensor("y", (1, 10), 8)
    >>> str(own_bits(Layer("softmax", Softmax((1, 10), 10), (x,), y)))
    '-/4/8'
    """
    return OperandBits(layer.weight_bits if layer.is_on_grid else None, layer.input_bits, layer.output.bits)
