"""The real functions that a table may hold, by name, as the runtimes compute them in float32.

===================  ===============================================  ==================================================
name                 f(x)                                             parameters and their defaults
===================  ===============================================  ==================================================
identity, relu       x, max(x, 0)
relu6, clip          min(max(x, 0), 6), min(max(x, min), max)         clip: min -inf, max inf
leaky_relu           x for x >= 0, else alpha x                       alpha 0.01
thresholded_relu     x for x > alpha, else 0                          alpha 1
sigmoid, tanh        1 / (1 + exp(-x))
silu                 x sigmoid(alpha x)                               alpha 1
hard_sigmoid         min(max(alpha x + beta, 0), 1)                   alpha 0.2, beta 0.5
hard_swish           x min(max(x / 6 + 1/2, 0), 1)
gelu                 x/2 (1 + erf(x / sqrt 2))                        approximate 0; else tanh(sqrt(2/pi)(x + 0.044715 x^3))
elu, celu            x for x >= 0, else alpha (exp(x) - 1)            alpha 1; celu: exp(x / alpha)
selu                 gamma x for x > 0, else gamma alpha (exp(x)-1)   alpha 1.6732632..., gamma 1.0507010...
softplus, mish       log(1 + exp(x)), x tanh(softplus(x))
softsign, erf, exp, log, sqrt, sin, cos, abs, neg, sign, floor, ceil, square
round                to nearest, ties to even
reciprocal, rsqrt    1 / x, 1 / sqrt(x); rsqrt of 0 and below is inf
===================  ===============================================  ==================================================

Each is composed of float32 operations in the runtime's own order. Elementary functions are those of `library`: "litert" has
the C library's, here computed in float64 and rounded once; "onnxruntime" has tanh and sigmoid of its own
(`rational_function`), and polynomials for exp, log, erf, sin and cos that differ from the rounded ones in the last bit of
one float32 in ten.

Sources: onnxruntime `onnxruntime/core/providers/cpu/activation/activations.h`, `onnxruntime/core/mlas/lib/gelu.cpp`;
tensorflow/tensorflow `tensorflow/lite/kernels/activations.cc`, `tensorflow/lite/kernels/elementwise.cc`,
`tensorflow/lite/kernels/internal/reference/gelu.h`. Defaults: onnx/onnx@f7546912 `onnx/defs/nn/defs.cc`,
`onnx/defs/math/defs.cc`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf, erfc, inf, pi, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.rational_function import rational_sigmoid, rational_tanh

Singles = NDArray[np.float32]
RealFunction = Callable[[Singles], Singles]

#: Whose elementary functions.
Library = Literal["litert", "onnxruntime"]

_Parameters = Mapping[str, float]
_Definition = Callable[[Singles, _Parameters, Library], Any]

_HALF, _ONE = np.float32(0.5), np.float32(1)
_SQRT_HALF = np.float32(sqrt(0.5))

_erf = np.vectorize(erf, otypes=[np.float64])
_erfc = np.vectorize(erfc, otypes=[np.float64])


def _rounded(function: Callable[[NDArray[np.float64]], Any], x: Singles) -> Singles:
    """A function in float64, rounded once."""
    return np.asarray(function(x.astype(np.float64))).astype(np.float32)


def _exp(x: Singles) -> Singles:
    return _rounded(np.exp, x)


def _tanh(x: Singles, p: _Parameters, library: Library) -> Singles:
    return rational_tanh(x) if library == "onnxruntime" else _rounded(np.tanh, x)


def _sigmoid(x: Singles, p: _Parameters, library: Library) -> Any:
    return rational_sigmoid(x) if library == "onnxruntime" else _ONE / (_ONE + _exp(-x))


def _softplus(x: Singles, p: _Parameters, library: Library) -> Any:
    return np.maximum(x, np.float32(0)) + _rounded(np.log1p, _exp(-np.abs(x)))


def _gelu(x: Singles, p: _Parameters, library: Library) -> Any:
    if p["approximate"]:
        inner, outer = np.float32(sqrt(2 / pi) * 0.044715), np.float32(sqrt(2 / pi))
        return _HALF * x * (_ONE + _tanh(x * (inner * x * x + outer), p, library))
    if library == "onnxruntime":
        return _HALF * x * (_ONE + _rounded(_erf, x * _SQRT_HALF))
    return _HALF * x * _rounded(_erfc, -x * _SQRT_HALF)


def _celu(x: Singles, p: _Parameters, library: Library) -> Any:
    alpha = np.float32(p["alpha"])
    return np.maximum(x, 0) + np.minimum(0, alpha * (_exp(x / alpha) - _ONE))


def _selu(x: Singles, p: _Parameters, library: Library) -> Any:
    gamma = np.float32(p["gamma"])
    return np.where(x > 0, gamma * x, gamma * np.float32(p["alpha"]) * (_exp(x) - _ONE))


def _hard_sigmoid(x: Singles, p: _Parameters, library: Library) -> Any:
    return np.clip(np.float32(p["alpha"]) * x + np.float32(p["beta"]), np.float32(0), _ONE)


_DEFINITIONS: dict[str, _Definition] = {
    "identity": lambda x, p, library: x,
    "relu": lambda x, p, library: np.maximum(x, 0),
    "relu6": lambda x, p, library: np.clip(x, 0, 6),
    "clip": lambda x, p, library: np.clip(x, np.float32(p["min"]), np.float32(p["max"])),
    "leaky_relu": lambda x, p, library: np.where(x >= 0, x, np.float32(p["alpha"]) * x),
    "thresholded_relu": lambda x, p, library: np.where(x > np.float32(p["alpha"]), x, 0),
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "silu": lambda x, p, library: x * _sigmoid(np.float32(p["alpha"]) * x, p, library),
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": lambda x, p, library: x * np.clip(x * np.float32(1 / 6) + _HALF, np.float32(0), _ONE),
    "gelu": _gelu,
    "elu": lambda x, p, library: np.where(x >= 0, x, np.float32(p["alpha"]) * (_exp(x) - _ONE)),
    "celu": _celu,
    "selu": _selu,
    "softplus": _softplus,
    "mish": lambda x, p, library: x * _tanh(_softplus(x, p, library), p, library),
    "softsign": lambda x, p, library: x / (_ONE + np.abs(x)),
    "erf": lambda x, p, library: _rounded(_erf, x),
    "exp": lambda x, p, library: _exp(x),
    "log": lambda x, p, library: _rounded(np.log, x),
    "sqrt": lambda x, p, library: np.sqrt(x),
    "sin": lambda x, p, library: _rounded(np.sin, x),
    "cos": lambda x, p, library: _rounded(np.cos, x),
    "abs": lambda x, p, library: np.abs(x),
    "neg": lambda x, p, library: -x,
    "sign": lambda x, p, library: np.sign(x),
    "floor": lambda x, p, library: np.floor(x),
    "ceil": lambda x, p, library: np.ceil(x),
    "square": lambda x, p, library: x * x,
    "round": lambda x, p, library: np.rint(x),
    "reciprocal": lambda x, p, library: _ONE / x,
    "rsqrt": lambda x, p, library: np.where(x > 0, _ONE / np.sqrt(np.maximum(x, 0)), np.float32(inf)),
}

# Source of the defaults: onnx/defs/nn/defs.cc and onnx/defs/math/defs.cc, the attributes' defaults.
_DEFAULTS: dict[str, dict[str, float]] = {
    "clip": {"min": -inf, "max": inf}, "leaky_relu": {"alpha": 0.01}, "thresholded_relu": {"alpha": 1.0},
    "silu": {"alpha": 1.0}, "hard_sigmoid": {"alpha": 0.2, "beta": 0.5}, "gelu": {"approximate": 0.0}, "elu": {"alpha": 1.0},
    "celu": {"alpha": 1.0}, "selu": {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805},
}

#: Names of all functions.
FUNCTIONS = tuple(_DEFINITIONS)


def parameters_of(name: str, given: Mapping[str, float]) -> dict[str, float]:
    """The function's parameters, the given ones in place of its defaults.

    Raises
    ------
    NumericsError : an unknown function or parameter, a parameter that is NaN.

    Examples
    --------
    >>> parameters_of("hard_sigmoid", {"alpha": 0.25})
    {'alpha': 0.25, 'beta': 0.5}
    """
    if name not in FUNCTIONS:
        raise NumericsError(f'expected one of {", ".join(FUNCTIONS)}, got "{name}"', field="function")
    known = _DEFAULTS.get(name, {})
    for parameter, value in given.items():
        if parameter not in known:
            raise NumericsError(f'expected {" and ".join(known) or "no parameter"} with {name}, got "{parameter}"',
                                field="parameters")
        if np.isnan(value):
            raise NumericsError(f"expected a number for {parameter}, got NaN", field="parameters")
    return {**known, **given}


def real_function(name: str, given: Mapping[str, float], library: Library = "litert") -> RealFunction:
    """The function of that name, on float32 arrays of any shape; NaN where it is undefined.

    Raises
    ------
    NumericsError : as `parameters_of`.

    Examples
    --------
    >>> real_function("leaky_relu", {"alpha": 0.5})(np.array([-2, 2], np.float32)).tolist()
    [-1.0, 2.0]
    """
    parameters = parameters_of(name, given)

    def function(x: Singles) -> Singles:
        with np.errstate(all="ignore"):
            return np.asarray(_DEFINITIONS[name](x, parameters, library), dtype=np.float32)

    return function
