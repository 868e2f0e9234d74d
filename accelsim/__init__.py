"""accelsim: a cycle-level simulator of quantized neural-network accelerators.

>>> from accelsim import load_accelerator, load_network, simulate
>>> result = simulate(load_accelerator("edge_16x16"), load_network("mlperf_tiny_resnet8"))
>>> result.macs
12501632

Names below are imported when they are first used, so that reading a description does not load the simulator.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from accelsim.version import __version__

if TYPE_CHECKING:
    from accelsim.errors import AccelsimError
    from accelsim.hardware import Accelerator, load_accelerator, preset_names, with_changes
    from accelsim.mapping.options import MappingOptions
    from accelsim.quantization.bit_policy import BitPolicy, load_bit_policy
    from accelsim.quantization.float_model import FloatModel
    from accelsim.quantization.quantize import quantize
    from accelsim.quantization.quantized_model import QuantizedModel
    from accelsim.quantization.recipe import load_recipe
    from accelsim.report.writer import write_report
    from accelsim.results.layer_result import LayerResult
    from accelsim.results.network_result import NetworkResult
    from accelsim.simulation import plan, simulate
    from accelsim.workload import (
        Layer,
        Network,
        QuantizedNetwork,
        Tensor,
        load_network,
        load_quantized_network,
        shipped_workloads,
    )

_HOMES = {
    "AccelsimError": "accelsim.errors",
    "Accelerator": "accelsim.hardware", "load_accelerator": "accelsim.hardware", "preset_names": "accelsim.hardware",
    "with_changes": "accelsim.hardware",
    "BitPolicy": "accelsim.quantization.bit_policy", "FloatModel": "accelsim.quantization.float_model",
    "MappingOptions": "accelsim.mapping.options", "QuantizedModel": "accelsim.quantization.quantized_model",
    "load_bit_policy": "accelsim.quantization.bit_policy", "load_recipe": "accelsim.quantization.recipe",
    "quantize": "accelsim.quantization.quantize",
    "write_report": "accelsim.report.writer",
    "LayerResult": "accelsim.results.layer_result", "NetworkResult": "accelsim.results.network_result",
    "plan": "accelsim.simulation", "simulate": "accelsim.simulation",
    "Layer": "accelsim.workload", "Network": "accelsim.workload", "QuantizedNetwork": "accelsim.workload",
    "Tensor": "accelsim.workload", "load_network": "accelsim.workload", "load_quantized_network": "accelsim.workload",
    "shipped_workloads": "accelsim.workload",
}

__all__ = [
    "Accelerator", "AccelsimError", "BitPolicy", "FloatModel", "Layer", "LayerResult", "MappingOptions", "Network",
    "NetworkResult", "QuantizedModel", "QuantizedNetwork", "Tensor", "__version__", "load_accelerator", "load_bit_policy",
    "load_network", "load_quantized_network", "load_recipe", "plan", "preset_names", "quantize", "shipped_workloads",
    "simulate", "with_changes", "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'accelsim' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
