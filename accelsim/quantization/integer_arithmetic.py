"""The integers by which a network without floating point requantizes, and that there is nothing else in it.

A layer of the PE grid computes ``clamp(round(a * M / 2^n) + z)`` of its accumulators a, an addition under a rule of its own
multiply and shift (dyadic, power_of_two, shift_floor) ``clamp(sum_i +-round((x_i - z_i) * M / 2^n) + z)``, with one M and n
for all operands that share a scale. The rule names the rounding (`accelsim.numerics.scheme`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from accelsim.errors import NumericsError, WorkloadError
from accelsim.numerics.grid_kernel import GridKernel
from accelsim.numerics.kernels.addition import AdditionKernel
from accelsim.numerics.kernels.concatenation import ConcatenationKernel
from accelsim.numerics.requantization import Requantization
from accelsim.workload.quantized_network import QuantizedLayer, QuantizedNetwork


def require_integer_arithmetic(network: QuantizedNetwork) -> None:
    """That every layer computes on integers alone under the network's rule, with scales that the rule can encode.

    Raises
    ------
    WorkloadError : names the first layer for which that is not so.
    """
    grids = {given.tensor: given.qparams for given in network.inputs}
    for layer in network.network.layers:
        own = network.layers[layer.name]
        try:
            if isinstance(own.kernel, GridKernel):
                own.kernel.requantization(network.rule)
                if own.kernel.scale_groups is not None:
                    own.kernel.scale_groups.units(network.rule)
            else:
                _require_one_grid(own, network)
                # Kernels encode their scales where they run; zeros are in every type.
                zeros = [np.full(shape, int(grids[tensor.name].zero_point), grids[tensor.name].qtype.dtype)
                         for tensor, shape in zip(layer.inputs, own.input_shapes, strict=True)]
                own.kernel.run(zeros, network.rule)
        except NumericsError as error:
            problem = f"{error.field}: {error.problem}" if error.field else error.problem
            hint = "; give weights and activations has_power_of_two_scale" if "power of two" in error.problem else ""
            raise WorkloadError(f"{problem} (under {network.rule.scheme}{hint})", file=network.network.name,
                                field=layer.name) from None
        grids[layer.output.name] = own.output


def _require_one_grid(layer: QuantizedLayer, network: QuantizedNetwork) -> None:
    """TFLite rescales parts of a concatenation in floating point."""
    kernel = layer.kernel
    if isinstance(kernel, ConcatenationKernel) and network.rule.family == "fixed_point" and any(
            grid != kernel.output for grid in kernel.inputs):
        raise NumericsError("expected parts of a concatenation on one grid, got several", field="scale")


def requantization_rows(network: QuantizedNetwork) -> Iterator[dict[str, Any]]:
    """One record for each channel of a layer on the PE grid and each operand of an addition, in the order of execution.

    Keys: layer, part ("channel 0", "channel 0, run 1", "operand 0"), multiplier, shift, zero_point, low, high: the output's
    zero point and range. Runs of K with a scale of their own have records, whose outputs are sums again. Layers whose
    weights are an activation have one record, "all". Additions under TFLite's rules, which shift their operands first, have
    none; nor have tables, pools and normalizations, which are stated beside their kernels.
    """
    for layer in network.network.layers:
        kernel = network.layers[layer.name].kernel
        if isinstance(kernel, GridKernel):
            unit = kernel.requantization(network.rule)
            count = kernel.channels or 1
            parts = [f"channel {index}" for index in range(kernel.channels)] or ["all"]
            own = unit.multiplier
            multipliers, shifts = (np.broadcast_to(each, count) for each in (own.mantissa, own.shift))
            for part, multiplier, shift in zip(parts, multipliers, shifts, strict=True):
                yield _row(layer.name, part, int(multiplier), int(shift), unit)
            runs = kernel.scale_groups.units(network.rule) if kernel.scale_groups is not None else ()
            for index, each in enumerate(runs):
                for part, multiplier, shift in zip(parts, each.multiplier.mantissa, each.multiplier.shift, strict=True):
                    yield _row(layer.name, f"{part}, run {index}", int(multiplier), int(shift), each)
        elif isinstance(kernel, AdditionKernel) and network.rule.family == "shift":
            for index, grid in enumerate(kernel.inputs):
                unit = network.rule.product_requantization(
                    input_scale=grid.scale, weight_scale=1.0, output_scale=kernel.output.scale, operator="conv",
                    zero_point=int(kernel.output.zero_point), qtype=kernel.output.qtype, clamp_min=kernel.clamp_min,
                    clamp_max=kernel.clamp_max)
                yield _row(layer.name, f"operand {index}", int(unit.multiplier.mantissa), int(unit.multiplier.shift), unit)


def _row(layer: str, part: str, multiplier: int, shift: int, unit: Requantization) -> dict[str, Any]:
    return {"layer": layer, "part": part, "multiplier": multiplier, "shift": shift, "zero_point": unit.zero_point,
            "low": unit.clamp_min, "high": unit.clamp_max}
