"""Which elements of a tensor share a scale (survey, arXiv 2103.13630, III-E; white paper, arXiv 2106.08295, 2.2.3).

=============  ===================  =====================================  ==============================================
kind           axis, size           elements of a unit                     scales of a tensor (64, 128), axis 0 or 1
=============  ===================  =====================================  ==============================================
tensor         None, None           all                                    ()
channel        axis, None           one index along the axis               axis 0: (64,)
channel_group  axis, size B         B indices along the axis, in a row     axis 0, B = 8: (64,), eight equal ones in a row
sub_channel    axis, size B         B along the axis, at one index of      axis 1, B = 32: (64, 4)
                                    every other dimension
=============  ===================  =====================================  ==============================================

The scales' shapes are those of `QParams`; where B does not divide the axis, the last unit is smaller. "layerwise",
"groupwise", "channelwise" and "sub-channelwise" are the survey's names; ONNX calls the last one blocked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.qparams import QParams
from accelsim.problem import wrong_choice

GranularityKind = Literal["tensor", "channel", "channel_group", "sub_channel"]


@dataclass(frozen=True, slots=True)
class Granularity:
    """How a tensor falls into units, each with a scale and a zero point of its own.

    Parameters
    ----------
    kind : a name of the table above.
    axis : the channels' dimension, or the one that is cut into blocks; negative counts from the last. Of every kind but
        tensor.
    size : elements along `axis` in a unit, at least 1; of channel_group and sub_channel.

    Raises
    ------
    NumericsError : another kind; an axis or a size that the kind does not have, or lacks.

    Examples
    --------
    >>> weights = np.arange(12.0).reshape(2, 6)
    >>> [rows.tolist() for rows in Granularity("sub_channel", axis=1, size=4).rows(weights)]
    [[[0.0, 1.0, 2.0, 3.0], [6.0, 7.0, 8.0, 9.0]], [[4.0, 5.0], [10.0, 11.0]]]
    >>> Granularity("channel", axis=0).scales_shape((2, 6)), Granularity("sub_channel", axis=1, size=4).scales_shape((2, 6))
    ((2,), (2, 2))
    """

    kind: GranularityKind = "tensor"
    axis: int | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(GranularityKind):
            raise NumericsError(wrong_choice(self.kind, get_args(GranularityKind)), field="granularity")
        if (self.axis is None) != (self.kind == "tensor") or isinstance(self.axis, bool):
            expected = "no axis for the whole tensor" if self.kind == "tensor" else f"an axis for each {self.kind}"
            raise NumericsError(f"expected {expected}, got {self.axis}", field="granularity.axis")
        if (self.size is None) != (self.kind in ("tensor", "channel")):
            expected = f"a size for each {self.kind}" if self.size is None else f"no size for each {self.kind}"
            found = "none" if self.size is None else self.size
            raise NumericsError(f"expected {expected}, got {found}", field="granularity.size")
        if self.size is not None and (isinstance(self.size, bool) or self.size < 1):
            raise NumericsError(f"expected at least 1 element in a unit, got {self.size}", field="granularity.size")

    @classmethod
    def of(cls, qparams: QParams) -> Granularity:
        """The granularity that parameters were made with; equal scales in a row count as channels of their own.

        >>> from accelsim.numerics.qtype import QType
        >>> Granularity.of(QParams(scale=[1.0, 2.0], zero_point=0, qtype=QType(8, True), axis=0))
        Granularity(kind='channel', axis=0, size=None)
        """
        if qparams.axis is None:
            return cls()
        if qparams.group_size is None:
            return cls("channel", axis=qparams.axis)
        return cls("sub_channel", axis=qparams.axis, size=qparams.group_size)

    @property
    def group_size(self) -> int | None:
        """`QParams.group_size`: groups of channels are channels to it, with their scale repeated."""
        return self.size if self.kind == "sub_channel" else None

    def units(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of one number a unit; () for the whole tensor.

        >>> Granularity("channel_group", axis=0, size=8).units((20, 3))
        (3,)

        Raises
        ------
        NumericsError : a tensor without that axis, or without elements.
        """
        axis = self._axis_in(shape)
        if self.axis is None:
            return ()
        length = shape[axis]
        if self.kind == "channel":
            return (length,)
        blocks = -(-length // self._block)
        return (blocks,) if self.kind == "channel_group" else (*shape[:axis], blocks, *shape[axis + 1:])

    def scales_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of `QParams.scale` for a tensor of `shape`."""
        return (shape[self._axis_in(shape)],) if self.kind == "channel_group" else self.units(shape)

    def rows(self, values: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """The elements of the units: matrices (units, elements of a unit).

        Two where the last units along the axis are smaller than the others, else one.
        """
        shape = values.shape
        axis = self._axis_in(shape)
        if self.kind == "tensor":
            return (values.reshape(1, -1),)
        if self.kind == "channel":
            return (np.moveaxis(values, axis, 0).reshape(shape[axis], -1),)
        size = min(self._block, shape[axis])
        whole = shape[axis] // size * size
        if self.kind == "channel_group":
            channels = np.moveaxis(values, axis, 0).reshape(shape[axis], -1)
            return tuple(part.reshape(-1, length * channels.shape[1])
                         for part, length in ((channels[:whole], size), (channels[whole:], shape[axis] - whole)) if length)
        lines = np.moveaxis(values, axis, -1)
        return tuple(part.reshape(-1, length)
                     for part, length in ((lines[..., :whole], size), (lines[..., whole:], shape[axis] - whole)) if length)

    def joined(self, parts: Sequence[NDArray[Any]], shape: Sequence[int]) -> NDArray[Any]:
        """Numbers of the units of each matrix of `rows`, put together in the shape of the scales.

        >>> Granularity("channel_group", axis=0, size=2).joined([np.array([1.0, 2.0]), np.array([3.0])], (5, 7)).tolist()
        [1.0, 1.0, 2.0, 2.0, 3.0]
        """
        axis = self._axis_in(shape)
        if self.kind == "tensor":
            return np.asarray(parts[0].reshape(()))
        if self.kind == "channel":
            return parts[0]
        if self.kind == "channel_group":
            return np.asarray(np.repeat(np.concatenate(parts), self._block)[:shape[axis]])
        others = (*shape[:axis], *shape[axis + 1:])
        return np.asarray(np.moveaxis(np.concatenate([part.reshape(*others, -1) for part in parts], axis=-1), -1, axis))

    def spread(self, scales: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
        """Scales or zero points in a shape that broadcasts against a tensor of `shape`, as `QParams` applies them.

        Raises
        ------
        NumericsError : scales of another shape than `scales_shape`.
        """
        expected = self.scales_shape(shape)
        if scales.shape != expected:
            raise NumericsError(f"expected scales of shape {expected} for a tensor of shape {tuple(shape)}, "
                                f"got {scales.shape}", field="scale")
        if self.kind == "tensor":
            return scales
        axis = self._axis_in(shape)
        if self.kind == "sub_channel":
            return np.take(np.repeat(scales, self._block, axis=axis), np.arange(shape[axis]), axis=axis)
        return scales.reshape([-1 if dimension == axis else 1 for dimension in range(len(shape))])

    @property
    def _block(self) -> int:
        assert self.size is not None
        return self.size

    def _axis_in(self, shape: Sequence[int]) -> int:
        """The axis counted from 0; 0 for the whole tensor."""
        if 0 in shape:
            raise NumericsError(f"expected at least one value, got a tensor of shape {tuple(shape)}", field="values")
        if self.axis is None:
            return 0
        if not -len(shape) <= self.axis < len(shape):
            raise NumericsError(f"expected a tensor with axis {self.axis}, got shape {tuple(shape)}",
                                field="granularity.axis")
        return self.axis % len(shape)
