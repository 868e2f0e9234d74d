"""How the operands of an ONNX matrix product lie as batches of matrices."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.numerics.arrangement import Arrangement
from accelsim.workload.onnx.activations import NotQuantized
from accelsim.workload.onnx.graph import Node
from accelsim.workload.onnx.translation import Translation
from accelsim.workload.tensor import Shape


@dataclass(frozen=True, slots=True)
class Product:
    """One product ``written = streamed . stationary^T`` of matrices.

    Parameters
    ----------
    streamed, stationary : positions of the node's inputs.
    streamed_as : the streamed operand as (batch, m, k).
    stationary_as : the other one as (batch, n, k).
    written_as : the output as (batch, m, n).
    channel_axis : the axis of the stationary operand that counts the output's channels (n), from the first; None if it
        has none, being a vector.
    """

    streamed: int
    stationary: int
    streamed_as: Arrangement
    stationary_as: Arrangement
    written_as: Arrangement
    channel_axis: int | None


@dataclass(frozen=True, slots=True)
class _Side:
    """Leading dimensions of an operand, the sizes of its matrices, and which of their axes is k (0 or 1)."""

    leading: Shape
    matrix: tuple[int, int]
    inner: int

    @property
    def free(self) -> int:
        return 1 - self.inner


def product_of(node: Node, translation: Translation) -> Product:
    """The product of a MatMul or Gemm, as the network has it: a constant operand is stationary, else the right one.

    Raises
    ------
    NotQuantized : one streamed matrix for several stationary ones.
    """
    shapes = [translation.shape(name) for name in node.inputs[:2]]
    is_gemm = node.op == "Gemm"
    left = _side(shapes[0], 0, 0 if is_gemm and node.integer("transA", 0) else 1)
    right = _side(shapes[1], 1, 1 if is_gemm and node.integer("transB", 0) else 0)
    is_swapped = translation.is_constant(node.inputs[0])
    streamed, stationary = (right, left) if is_swapped else (left, right)
    position = 0 if is_swapped else 1
    rank = max(len(streamed.leading), len(stationary.leading))
    mine, its = ((1,) * (rank - len(side.leading)) + side.leading for side in (streamed, stationary))
    batch = [axis for axis in range(rank) if its[axis] > 1]
    if any(mine[axis] == 1 for axis in batch):
        raise NotQuantized("expected a matrix of the first operand for each of the second, got one for several")
    shared = [axis for axis in range(rank) if its[axis] == 1]
    # The output keeps the order of the operands: rows of the left one, columns of the right one.
    rows, columns = left.matrix[left.free], right.matrix[right.free]
    vector = len(shapes[position]) == 1
    return Product(
        streamed=1 - position, stationary=position,
        streamed_as=_arranged(mine, streamed, batch, shared),
        stationary_as=Arrangement(
            (*its, *stationary.matrix), (*batch, *shared, rank + stationary.free, rank + stationary.inner), batch_rank=rank,
            rows_rank=1),
        written_as=Arrangement((*mine, rows, columns), (*batch, *shared, rank + is_swapped, rank + 1 - is_swapped),
                               batch_rank=len(batch), rows_rank=len(shared) + 1),
        channel_axis=None if vector else len(shapes[position]) - 2 + stationary.free)


def _side(shape: Shape, vector_axis: int, inner: int) -> _Side:
    """An operand; a vector is a row on the left (0), a column on the right (1)."""
    if len(shape) == 1:
        shape = (1, *shape) if vector_axis == 0 else (*shape, 1)
    return _Side(shape[:-2], (shape[-2], shape[-1]), inner)


def _arranged(leading: Shape, side: _Side, batch: list[int], shared: list[int]) -> Arrangement:
    rank = len(leading)
    return Arrangement((*leading, *side.matrix), (*batch, *shared, rank + side.free, rank + side.inner),
                       batch_rank=len(batch), rows_rank=len(shared) + 1)
