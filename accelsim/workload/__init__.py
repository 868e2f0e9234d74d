"""What is computed: tensors, layers, networks, and the formats that they are read from."""

from accelsim.workload.layer import Layer
from accelsim.workload.layer_list import load_layer_list
from accelsim.workload.load import load_network, load_quantized_network, shipped_workloads
from accelsim.workload.network import Network
from accelsim.workload.onnx.importer import import_onnx
from accelsim.workload.operation import (
    Activation,
    Convolution,
    Elementwise,
    GridOperation,
    MatMul,
    Move,
    Normalization,
    Operation,
    Pooling,
    Reduction,
    Resize,
    Softmax,
    VectorOperation,
)
from accelsim.workload.quantized_network import QuantizedNetwork
from accelsim.workload.tensor import Shape, Tensor
from accelsim.workload.topology_csv import import_topology

__all__ = [
    "Activation",
    "Convolution",
    "Elementwise",
    "GridOperation",
    "Layer",
    "MatMul",
    "Move",
    "Network",
    "Normalization",
    "Operation",
    "Pooling",
    "QuantizedNetwork",
    "Reduction",
    "Resize",
    "Shape",
    "Softmax",
    "Tensor",
    "VectorOperation",
    "import_onnx",
    "import_topology",
    "load_layer_list",
    "load_network",
    "load_quantized_network",
    "shipped_workloads",
]
