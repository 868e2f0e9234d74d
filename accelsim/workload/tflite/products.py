"""Translators of TFLite's matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from accelsim.errors import WorkloadError
from accelsim.numerics.arrangement import Arrangement
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.workload.operation import MatMul
from accelsim.workload.tensor import Shape
from accelsim.workload.tflite.graph import ABSENT, TfliteOperator
from accelsim.workload.tflite.grid_kernels import bias_of, constant_kernel, product_kernel
from accelsim.workload.tflite.schema import DEFAULT_WEIGHTS
from accelsim.workload.tflite.translation import NotSimulated, Translation, broadcast


def fully_connected(operator: TfliteOperator, translation: Translation) -> None:
    """FULLY_CONNECTED: weights (n, k); everything before the input's last k elements are positions."""
    source, number, addend = operator.inputs[0], operator.inputs[1], operator.input(2)
    shape, weights = translation.shape(source), translation.shape(number)
    if operator.options["weights_format"] != DEFAULT_WEIGHTS:
        raise NotSimulated("weights in another than their plain order")
    if len(weights) != 2 or min(weights) < 1 or prod(shape) % weights[1]:
        raise translation.error(f"expected weights [n, k] whose k divides the {prod(shape)} inputs, got {list(weights)}",
                                operator)
    n, k = weights
    m = prod(shape) // k
    keeps_rank = operator.options["keep_num_dims"]
    translation.require_output(operator, (*shape[:-1], n) if keeps_rank else (m, n))
    fused = translation.fused(operator)
    is_constant = translation.is_constant(number)
    if not is_constant and addend != ABSENT:
        raise NotSimulated("a product of two activations with biases")
    out = translation.shape(operator.outputs[0])
    streamed, stationary = Arrangement((m, k), (0, 1), 0, 1), Arrangement((n, k), (0, 1), 0, 1)
    written = Arrangement(out, tuple(range(len(out))), 0, len(out) - 1)

    def kernel() -> GridKernel:
        if is_constant:
            return constant_kernel(operator, translation, source, number, addend, lambda weights: weights[None],
                                   kind="fully_connected", fused=fused, dimension=0, streamed=streamed, written=written)
        return product_kernel(operator, translation, source, number, kind="fully_connected", fused=fused, arithmetic=None,
                              weights=None, streamed=streamed, stationary=stationary, written=written)

    operation = MatMul(m=m, k=k, n=n, has_activation_weights=not is_constant)
    translation.emit(
        operator, operation, (source,) if is_constant else (source, number), kernel,
        weights=translation.constant(number) if is_constant else None,
        bias=bias_of(operator, translation, addend, n), fused=fused, stationary=number)


@dataclass(frozen=True)
class _Side:
    """One operand of a batched product: its number, its shape at the product's rank, the axes beside the batch."""

    number: int
    shape: Shape
    free: int
    inner: int
    written: int

    def arrangement(self, batch: Sequence[int], shared: Sequence[int]) -> Arrangement:
        """As (batch, rows, k): rows are the shared batch dimensions and the free axis."""
        return Arrangement(self.shape, (*batch, *shared, self.free, self.inner), len(batch), len(shared) + 1)


def batch_matmul(operator: TfliteOperator, translation: Translation) -> None:
    """BATCH_MATMUL of two activations, or of an activation and a constant.

    The operand that plays the weights is the right one, unless the left one is constant or the right one alone has a size
    above 1 in some batch dimension: then ``y^T = right^T left^T`` is computed. Batch dimensions in which the weights have
    size 1 are positions.
    """
    left, right = operator.inputs[0], operator.inputs[1]
    rank = max(len(translation.shape(left)), len(translation.shape(right)))
    a, b = (translation.shape(number) for number in (left, right))
    if min(len(a), len(b)) < 2:
        raise translation.error(f"expected matrices, got {list(a)} and {list(b)}", operator)
    x = _side(left, a, rank, bool(operator.options["adj_x"]), rank - 2)
    y = _side(right, b, rank, not operator.options["adj_y"], rank - 1)
    batch = broadcast(a[:-2], b[:-2])
    if batch is None or x.shape[x.inner] != y.shape[y.inner]:
        raise translation.error(
            f"expected operands that agree in the inner size and in batches, got {list(a)} and {list(b)}", operator)
    out = (*batch, x.shape[x.free], y.shape[y.free])
    translation.require_output(operator, out)
    is_turned = translation.is_constant(left) or (x.shape[:-2] != batch and not translation.is_constant(right))
    streamed, stationary = (y, x) if is_turned else (x, y)
    _emit_product(operator, translation, streamed, stationary, out)


def _side(number: int, shape: Shape, rank: int, is_free_last: bool, written: int) -> _Side:
    padded = (1,) * (rank - len(shape)) + shape
    free, inner = (rank - 1, rank - 2) if is_free_last else (rank - 2, rank - 1)
    return _Side(number, padded, free, inner, written)


def _emit_product(operator: TfliteOperator, translation: Translation, streamed: _Side, stationary: _Side,
                  out: Shape) -> None:
    axes = range(len(out) - 2)
    batch = [axis for axis in axes if stationary.shape[axis] > 1]
    shared = [axis for axis in axes if stationary.shape[axis] == 1]
    is_constant = translation.is_constant(stationary.number)
    operation = MatMul(
        m=prod(out[axis] for axis in shared) * streamed.shape[streamed.free], k=streamed.shape[streamed.inner],
        n=stationary.shape[stationary.free], batch=prod(out[axis] for axis in batch), has_activation_weights=not is_constant)

    def kernel() -> GridKernel:
        if streamed.shape[:-2] != out[:-2]:
            raise WorkloadError(f"expected one operand with the whole batch {list(out[:-2])}, got "
                                f"{list(streamed.shape[:-2])} and {list(stationary.shape[:-2])}")
        sides = [side.arrangement(batch, shared) for side in (streamed, stationary)]
        written = Arrangement(out, (*batch, *shared, streamed.written, stationary.written), len(batch), len(shared) + 1)
        weights = sides[1].matrices(translation.integers(stationary.number)) if is_constant else None
        return product_kernel(
            operator, translation, streamed.number, stationary.number, kind="conv", fused="", arithmetic="float32_product",
            weights=weights, streamed=sides[0], stationary=sides[1], written=written)

    inputs = (streamed.number,) if is_constant else (streamed.number, stationary.number)
    translation.emit(operator, operation, inputs, kernel,
                     weights=translation.constant(stationary.number) if is_constant else None, stationary=stationary.number)
