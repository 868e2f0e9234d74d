"""Where quantizers stand, and which tensors share a grid.

A tensor carries a quantizer where a layer of the machine writes it: what one layer computes inside (a convolution and its
ReLU, a product and its factor, x times sigmoid(x)) is rounded once, at its end. The importer's own translation says what a
layer is, so that a saved model loads to the same layers. Beside that:

=============================  =========================================================================================
tensor                         grid
=============================  =========================================================================================
max pooling, moved elements,   that of what they come from: their integers are among its integers
reshaped, sliced, padded by 0
average pooling, mean of axes  that of what they come from: the range does not change much (option)
concatenation                  its own, to which the parts are requantized; or one for parts and result (option)
operands of an addition        their own, requantized on the way; or one for both (option)
softmax, sigmoid               fixed: steps of 1/2^b from 0
tanh, L2 normalization         fixed: steps of 1/2^(b-1) around 0
layer normalization            fixed by its own scale and shift: min(6, sqrt(n - 1)) deviations of each element (option)
everything else                its own, from its range
=============================  =========================================================================================

Sources: white paper (arXiv 2106.08295) section 2.3; TensorFlow Lite `tensorflow/lite/g3doc/performance/quantization_spec.md`
(LOGISTIC, SOFTMAX 1/256 and -128; TANH, L2_NORMALIZATION 1/128 and 0); equations 18 and 19 of the white paper for six
deviations; n numbers of mean 0 and variance 1 lie within sqrt(n - 1), which one number that differs from all others reaches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from accelsim.quantization.fixed_grid import FixedGrid


class PlacedTensor(NamedTuple):
    """A tensor with a quantizer.

    Parameters
    ----------
    name : of the tensor.
    layer : the layer that writes it, or the network's input that it is; "" for a view.
    group : the first tensor of those that share its grid.
    reason : why it has this grid, in words.
    """

    name: str
    layer: str
    group: str
    reason: str


class PlacedConstant(NamedTuple):
    """A constant that a layer without weights reads as integers: a summand, a factor, a part of a concatenation.

    Parameters
    ----------
    name : of the constant.
    node, position : who reads it, and as which of its inputs.
    layer : the layer that this is.
    group : the tensors whose grid it is on; "" where it has its own.
    """

    name: str
    node: str
    position: int
    layer: str
    group: str = ""


@dataclass(frozen=True)
class QuantizerGroup:
    """Tensors on one grid.

    Parameters
    ----------
    name : of its first tensor.
    tensors : all of them.
    owners : tensors whose numbers are computed (not picked from others of the group): the range is theirs.
    layers : what writes the owners, and so decides on the grid's width.
    fixed : the grid, where it does not depend on the range.
    """

    name: str
    tensors: tuple[str, ...]
    owners: tuple[str, ...]
    layers: tuple[str, ...]
    fixed: FixedGrid | None = None


@dataclass(frozen=True)
class Placement:
    """All quantizers of activations; `print(placement)` shows them.

    Parameters
    ----------
    tensors : in the order of execution.
    groups : by name.
    constants : that become integers without being weights.
    """

    tensors: tuple[PlacedTensor, ...]
    groups: Mapping[str, QuantizerGroup]
    constants: tuple[PlacedConstant, ...] = field(default=())

    @cached_property
    def _groups_of(self) -> dict[str, QuantizerGroup]:
        return {tensor.name: self.groups[tensor.group] for tensor in self.tensors}

    @cached_property
    def _layers_of(self) -> dict[str, str]:
        return {tensor.name: tensor.layer for tensor in self.tensors}

    def __contains__(self, tensor: str) -> bool:
        return tensor in self._groups_of

    def group_of(self, tensor: str) -> QuantizerGroup:
        """The group of a tensor. Raises `KeyError` for one without a quantizer."""
        return self._groups_of[tensor]

    def layer_of(self, tensor: str) -> str:
        """The layer that writes a tensor with a quantizer, or the network's input that it is; "" for a view."""
        return self._layers_of[tensor]

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """(tensor, layer, group, reason) for tables."""
        yield from self.tensors

    def __str__(self) -> str:
        width = max((len(tensor.name) for tensor in self.tensors), default=0)
        groups = max((len(tensor.group) for tensor in self.tensors), default=0)
        return "\n".join(f"{tensor.name:<{width}}  {tensor.group:<{groups}}  {tensor.reason}" for tensor in self.tensors)
