"""One spatial axis of a window that slides over an input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis of a window sliding over an input: output p reads inputs ``p*stride + r*dilation - pad``.

    `upsampling` u > 1 places u - 1 zeros between neighbouring inputs (transposed convolution); only every u-th position
    of the stretched axis is real.
    """

    in_size: int
    out_size: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    pad: int = 0
    upsampling: int = 1
