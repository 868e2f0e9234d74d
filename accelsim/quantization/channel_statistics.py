"""Mean and standard deviation of a tensor's channels, known without data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """What a batch normalization says of the tensor that it writes: its shift is the mean, its scale the deviation.

    Source: Nagel et al., "A White Paper on Neural Network Quantization" (arXiv:2106.08295), section 3.1, BN based range
    setting; the deviation is |gamma|, since a channel of negative scale spreads as far.

    Parameters
    ----------
    mean, std : (C,), float64; std at least 0.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
