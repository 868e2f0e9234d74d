"""SmoothQuant: outlying input channels of a matrix product hand a part of their magnitude to the weights.

Inputs divided by ``s_j`` and weights multiplied by it give the same products. With alpha from 0 (all goes to the inputs) to
1 (all goes to the weights),

    s_j = max|X_j|^alpha / max|W_j|^(1 - alpha)

At 1/2 the channel has the same largest magnitude in both. The division is folded into what makes the inputs: gain and shift
of a layer normalization, or a layer's output channels (`cross_layer.divided_outputs`); the weights are
`cross_layer.multiplied_inputs`. Layers that read the same inputs share s: their `weight_maxima` are the largest over them.

References
----------
Xiao et al. 2023, "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models" (arXiv
2211.10438), equation 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import NumericsError

Doubles = NDArray[np.float64]

# Source: Xiao et al. 2023, section 4: 0.5 balances most models.
BALANCED = 0.5


def migration_factors(input_maxima: ArrayLike, weight_maxima: ArrayLike, *, alpha: float = BALANCED) -> Doubles:
    """s (channels,), by which inputs are divided and weights multiplied.

    Parameters
    ----------
    input_maxima : largest magnitude of each input channel on calibration data, (channels,).
    weight_maxima : of the weights that multiply it (`cross_layer.input_ranges`), over all layers that read it.
    alpha : 0 to 1.

    Returns
    -------
    A channel that is 0 on either side keeps 1.

    Raises
    ------
    NumericsError : an alpha outside 0..1, lengths that differ, negative maxima, NaN.

    Examples
    --------
    >>> migration_factors([16.0, 1.0, 0.0], [1.0, 4.0, 1.0])
    array([4. , 0.5, 1. ])
    """
    if not 0 <= alpha <= 1:
        raise NumericsError(f"expected 0 to 1, got {alpha}", field="alpha")
    x, w = np.asarray(input_maxima, dtype=np.float64), np.asarray(weight_maxima, dtype=np.float64)
    if x.ndim != 1 or x.shape != w.shape:
        raise NumericsError(f"expected one maximum a channel on both sides, got shapes {x.shape} and {w.shape}",
                            field="maxima")
    both = np.stack([x, w])
    if not np.all(np.isfinite(both) & (both >= 0)):
        raise NumericsError("expected maxima of at least 0, got a negative one, NaN or infinity", field="maxima")
    is_alive = np.all(both > 0, axis=0)
    x, w = np.where(is_alive, both, 1.0)
    return np.asarray(x ** alpha / w ** (1 - alpha))
