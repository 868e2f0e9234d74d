"""What a layer on the PE grid computes: weights, bias, scales and output range; the geometry is the layer's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.arrangement import Arrangement
from accelsim.numerics.effective_scale import Arithmetic
from accelsim.numerics.qparams import QParams
from accelsim.numerics.requantization import Requantization
from accelsim.numerics.rule import Rule
from accelsim.numerics.scale_groups import ScaleGroups, unit_scale
from accelsim.numerics.scheme import Operator


@dataclass(frozen=True, eq=False)
class GridKernel:
    """A convolution or matrix product on integers: ``y = requantize(b + sum_k (x_k - z_x)(w_k - z_w))``.

    Parameters
    ----------
    weights : integers (groups, N, K) within `weight.qtype`; K runs (r, s, c), c fastest (for a transposed convolution r and
        s of the flipped kernel). None where the layer's second input plays the weights.
    bias : integers (groups * N,) of scale ``s_x * s_w``, zero point 0; or None.
    input : of the streamed operand, per tensor.
    weight : of the weights: per tensor, ``axis=0`` with one scale (and zero point) an output channel, (groups * N,), or
        ``axis=1`` with one scale a run of K, (groups * N, runs), without zero points (`scale_groups`).
    output : of the output, per tensor.
    clamp_min, clamp_max : the output's range, within its type: what fused activations leave.
    operator : what some rules distinguish.
    arithmetic : the arithmetic of the effective scale in the model's own runtime, if it is not its rule's usual one.
    channels_last : whether images lie as (N, H, W, C) in the model, else (N, C, H, W).
    streamed, stationary, written : of a matrix product: how its operands and its output lie in the model, as (batch, m, k),
        (batch, n, k) and (batch, m, n). None for convolutions.

    Raises
    ------
    NumericsError : weights outside their type, lists of another length than the channels.
    """

    weights: NDArray[Any] | None
    bias: NDArray[Any] | None
    input: QParams
    weight: QParams
    output: QParams
    clamp_min: int
    clamp_max: int
    operator: Operator = "conv"
    arithmetic: Arithmetic | None = None
    channels_last: bool = False
    streamed: Arrangement | None = None
    stationary: Arrangement | None = None
    written: Arrangement | None = None

    def __post_init__(self) -> None:
        if self.input.axis is not None or self.output.axis is not None:
            raise NumericsError("expected activations with one scale a tensor, got a list of scales", field="scale")
        if self.weights is None:
            return
        if self.weights.ndim != 3:
            raise NumericsError(f"expected weights (groups, N, K), got shape {self.weights.shape}", field="weights")
        if not self.weight.qtype.holds(self.weights):
            raise NumericsError(f"expected {self.weight.qtype.range_text} ({self.weight.qtype.name}), "
                                f"got {self.weights.min()}..{self.weights.max()}", field="weights")
        scales = self.weight.scale.shape
        if self.scale_groups is not None:
            steps = self.weights.shape[2]
            if self.weight.axis != 1 or self.scale_groups.count != -(-steps // self.scale_groups.length):
                raise NumericsError(f"expected scales of runs of {self.scale_groups.length} of {steps} reduction steps, got "
                                    f"shape {scales}", field="scale")
            scales = scales[:1]
        for what, shape in (("bias", self.bias.shape if self.bias is not None else ()), ("scale", scales)):
            if shape and shape != (self.channels,):
                raise NumericsError(f"expected one per output channel, ({self.channels},), got {shape}", field=what)

    @property
    def channels(self) -> int:
        """Output channels over all groups; 0 where the weights are an activation."""
        return self.weights.shape[0] * self.weights.shape[1] if self.weights is not None else 0

    @cached_property
    def scale_groups(self) -> ScaleGroups | None:
        """Runs of K with a scale of their own; None for one scale a channel.

        Raises
        ------
        NumericsError : runs with zero points.
        """
        return None if self.weight.group_size is None else ScaleGroups.of(self.weight)

    @property
    def weight_zero_points(self) -> NDArray[np.int64]:
        """z_w, () or (groups * N,)."""
        return self.weight.zero_point if self.weight.group_size is None else np.zeros((), np.int64)

    @property
    def has_asymmetric_weights(self) -> bool:
        """Whether some z_w is not 0, which adds ``-z_w * sum_k x_k`` to every output (white paper, section 2.4.1)."""
        return bool(np.any(self.weight.zero_point != 0))

    def requantization(self, rule: Rule) -> Requantization:
        """The rule with this layer's multipliers, zero point and range.

        Raises
        ------
        NumericsError : a scale that the rule cannot encode.
        """
        return rule.product_requantization(
            input_scale=self.input.scale, weight_scale=unit_scale(self.weight), output_scale=self.output.scale,
            zero_point=int(self.output.zero_point), qtype=self.output.qtype, operator=self.operator,
            arithmetic=self.arithmetic, clamp_min=self.clamp_min, clamp_max=self.clamp_max)
