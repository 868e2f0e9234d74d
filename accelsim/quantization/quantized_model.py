"""A float network with everything that makes integers of it: grids of activations, integers of weights, biases, constants.

It is frozen: what it holds is what `save` writes, what loading the file gives again, and what the machine executes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.quantization.bit_policy import ActivationChoice, BitPolicy, WeightChoice
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.nonuniform.lowered_weights import LoweredWeights
from accelsim.quantization.placement import Placement
from accelsim.quantization.scheme import Scheme
from accelsim.workload.quantized_network import QuantizedNetwork

if TYPE_CHECKING:
    from onnx import ModelProto

#: DequantizeLinear, float operators and QuantizeLinear; or operators on integers (QLinearConv, ...).
Form = Literal["qdq", "qoperator"]


@dataclass(frozen=True, eq=False)
class QuantizedWeights:
    """Integers of one layer's weights and bias.

    Parameters
    ----------
    choice : how they were quantized.
    qparams : of the weights as a matrix (G * N, K).
    integers : (G, N, K).
    bias : (G * N,), in units of the input's scale times the weights' scale; None where there is none, or where the input's
        scale is found during the run.
    bias_scale : (G * N,) or (), float32 numbers: these units.
    lowered : where the weights are codes (`nonuniform`), what these are; None for weights on a uniform grid.

    Raises
    ------
    NumericsError : integers outside their type.
    """

    choice: WeightChoice
    qparams: QParams
    integers: NDArray[Any]
    bias: NDArray[np.int32] | None = None
    bias_scale: NDArray[np.float32] | None = None
    lowered: LoweredWeights | None = None

    def __post_init__(self) -> None:
        if not self.qparams.qtype.holds(self.integers):
            raise NumericsError(f"expected {self.qparams.qtype.range_text} ({self.qparams.qtype.name}), "
                                f"got {self.integers.min()}..{self.integers.max()}", field="integers")

    @property
    def bits(self) -> int:
        """Width of a weight in memory: of its integer, or of the code that stands for it."""
        return self.qparams.qtype.bits if self.lowered is None else self.lowered.weight_bits

    @property
    def dequantized(self) -> NDArray[np.float32]:
        """The real weights (G, N, K) that the integers stand for."""
        matrix = self.integers.reshape(-1, self.integers.shape[2])
        return np.asarray(self.qparams.dequantize(matrix, dtype=np.float32)).reshape(self.integers.shape)


@dataclass(frozen=True, eq=False)
class QuantizedOperand:
    """Integers of a constant that is no weights: a summand, a factor, a part of a concatenation."""

    qparams: QParams
    integers: NDArray[Any]


class Step(NamedTuple):
    """What became of one step of a recipe.

    Parameters
    ----------
    name : of the step.
    is_applied : or skipped.
    detail : how, or why not.
    """

    name: str
    is_applied: bool
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}" if self.is_applied else f"{self.name}: skipped ({self.detail})"


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """A network with its integers.

    Parameters
    ----------
    model : in floating point, prepared: batch normalizations folded.
    placement : where quantizers stand.
    activations : group of tensors -> its grid.
    dynamic : group -> its scheme, where the range is found during the run.
    weights : layer -> its integers.
    constants : (node, input) -> integers of a constant operand.
    choices : group -> what the policy says of it.
    policy : what was asked for.
    remarks : what preparation did, and what differs from what was asked for; one line each.
    steps : of the recipe, what became of each.
    """

    model: FloatModel
    placement: Placement
    activations: Mapping[str, QParams]
    weights: Mapping[str, QuantizedWeights]
    choices: Mapping[str, ActivationChoice]
    policy: BitPolicy
    dynamic: Mapping[str, Scheme] = field(default_factory=dict)
    constants: Mapping[tuple[str, int], QuantizedOperand] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    def grid_of(self, tensor: str) -> QParams | None:
        """The grid of a tensor; None for one without a quantizer, or whose range is found during the run."""
        return self.activations.get(self.placement.group_of(tensor).name) if tensor in self.placement else None

    def proto(self, form: Form = "qdq") -> ModelProto:
        """The network as standard ONNX with integers.

        Raises
        ------
        WorkloadError : what that form cannot express.
        """
        if form == "qoperator":
            from accelsim.quantization.qoperator_export import qoperator_model

            return qoperator_model(self)
        from accelsim.quantization.onnx_export import qdq_model

        return qdq_model(self)

    def save(self, path: str | Path, form: Form = "qdq") -> None:
        """Writes the network as standard ONNX, whole or not at all.

        Raises
        ------
        OutputError : it cannot be written.
        WorkloadError : what that form cannot express.
        """
        from accelsim.quantization.onnx_file import write_model

        write_model(self.proto(form), Path(path))

    def network(self) -> QuantizedNetwork:
        """What the machine executes: the integers of the saved model, read as from its file.

        Raises
        ------
        WorkloadError : layers that the machine has no integers for, or that cannot do without floating point under the
            policy's requantization rule.
        """
        from accelsim.quantization.integer_arithmetic import require_integer_arithmetic
        from accelsim.workload.onnx.values import quantized_network_of

        network = quantized_network_of(self.proto(), self.model.name, batch=1 if self.model.is_batch_open else None)
        if self.policy.requantization is not None:
            require_integer_arithmetic(network)
        return network
