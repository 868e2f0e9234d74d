"""Trains the digits network and writes the files beside this script.

    pip install torch scikit-learn
    python workloads/digits/train.py

The network is small and has what quantization has to cope with: a residual block of two 3x3 convolutions, two inverted
residual blocks with depthwise convolutions and ReLU6 (Sandler et al. 2018, MobileNetV2, arXiv 1801.04381), batch
normalization, global average pooling. It reads the 8 x 8 images of scikit-learn's `load_digits` (Alpaydin and Kaynak 1998,
Optical Recognition of Handwritten Digits, UCI, CC BY 4.0), whose pixels are 0 to 16, divided by 16.

The ONNX file keeps the batch normalizations, so that folding them is a step of its own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

HERE = Path(__file__).parent
LARGEST_PIXEL = 16.0
TEST_IMAGES, CALIBRATION_IMAGES = 600, 200
OPSET = 17


@dataclass(frozen=True)
class Unit:
    """A convolution with batch normalization and an activation ("", "relu" or "relu6")."""

    name: str
    channels: tuple[int, int]
    kernel: int = 3
    stride: int = 1
    groups: int = 1
    activation: str = "relu"


@dataclass(frozen=True)
class Block:
    """Units one behind the other; what enters is added to what leaves if `is_residual`, before the activation."""

    units: tuple[Unit, ...]
    is_residual: bool = False
    activation: str = ""


def inverted(name: str, inputs: int, outputs: int, *, expansion: int, stride: int = 1) -> Block:
    """Widen, convolve each channel, project; a shortcut where the shapes allow."""
    wide = inputs * expansion
    units = (Unit(f"{name}_expand", (inputs, wide), kernel=1, activation="relu6"),
             Unit(f"{name}_depthwise", (wide, wide), stride=stride, groups=wide, activation="relu6"),
             Unit(f"{name}_project", (wide, outputs), kernel=1, activation=""))
    return Block(units, is_residual=stride == 1 and inputs == outputs)


def residual(name: str, channels: int) -> Block:
    """Two 3x3 convolutions and a shortcut."""
    units = (Unit(f"{name}_first", (channels, channels)), Unit(f"{name}_second", (channels, channels), activation=""))
    return Block(units, is_residual=True, activation="relu")


BLOCKS = (Block((Unit("stem", (1, 16)),)), residual("residual", 16), inverted("inverted", 16, 24, expansion=4, stride=2),
          inverted("deep", 24, 24, expansion=4), Block((Unit("head", (24, 64), kernel=1),)))
CLASSES = 10


def activated(values: torch.Tensor, activation: str) -> torch.Tensor:
    return {"": lambda x: x, "relu": functional.relu, "relu6": functional.relu6}[activation](values)


class DigitsNetwork(nn.Module):
    """`BLOCKS`, global average pooling, a fully connected layer."""

    def __init__(self) -> None:
        super().__init__()
        units = [unit for block in BLOCKS for unit in block.units]
        self.convolutions = nn.ModuleDict({
            unit.name: nn.Conv2d(*unit.channels, unit.kernel, unit.stride, unit.kernel // 2, groups=unit.groups, bias=False)
            for unit in units})
        self.normalizations = nn.ModuleDict({unit.name: nn.BatchNorm2d(unit.channels[1]) for unit in units})
        self.classifier = nn.Linear(units[-1].channels[1], CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = images
        for block in BLOCKS:
            entering = values
            for unit in block.units:
                values = self.normalizations[unit.name](self.convolutions[unit.name](values))
                values = activated(values, unit.activation)
            if block.is_residual:
                values = values + entering
            values = activated(values, block.activation)
        return self.classifier(values.mean(dim=(2, 3)))


@dataclass(frozen=True)
class Digits:
    """Images (count, 1, 8, 8) of pixels 0 to 16, and their labels."""

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def load(seed: int) -> Digits:
    data = load_digits()
    images = data.images.astype(np.uint8)[:, np.newaxis]
    x_train, x_test, y_train, y_test = train_test_split(
        images, data.target.astype(np.uint8), test_size=TEST_IMAGES, stratify=data.target, random_state=seed)
    return Digits((x_train, y_train), (x_test, y_test))


def as_input(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.astype(np.float32) / LARGEST_PIXEL)


def shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image moved by at most a pixel; zeros come in."""
    padded = functional.pad(images, (1, 1, 1, 1))
    rows, columns = torch.randint(0, 3, (2, len(images)), generator=generator)
    return torch.stack([image[:, r:r + 8, c:c + 8] for image, r, c in zip(padded, rows, columns, strict=True)])


def train(digits: Digits, *, epochs: int, seed: int) -> DigitsNetwork:
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    network, generator = DigitsNetwork(), torch.Generator().manual_seed(seed)
    images, labels = as_input(digits.train[0]), torch.from_numpy(digits.train[1].astype(np.int64))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = epochs * -(-len(images) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps)
    for _ in range(epochs):
        network.train()
        for batch in torch.randperm(len(images), generator=generator).split(64):
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(shifted(images[batch], generator)), labels[batch], label_smoothing=0.05)
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def accuracy(network: DigitsNetwork, images: np.ndarray, labels: np.ndarray) -> float:
    with torch.no_grad():
        return float((network(as_input(images)).argmax(dim=1).numpy() == labels).mean())


@dataclass
class Graph:
    """Nodes and constants of the ONNX file, one behind the other."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, values: torch.Tensor) -> str:
        self.constants.append(numpy_helper.from_array(values.detach().numpy().astype(np.float32), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def activation(self, values: str, activation: str) -> str:
        if activation == "relu6":
            return self.node("Clip", [values, "zero", "six"], f"{values}_relu6")
        return self.node("Relu", [values], f"{values}_relu") if activation else values


def exported(network: DigitsNetwork) -> onnx.ModelProto:
    """The network as ONNX, for batches of any size."""
    graph = Graph()
    graph.constant("zero", torch.tensor(0.0))
    graph.constant("six", torch.tensor(6.0))
    values = "image"
    for block, last in zip(BLOCKS, _last_names(), strict=True):
        entering = values
        for unit in block.units:
            values = graph.activation(_unit(graph, network, unit, values), unit.activation)
        if block.is_residual:
            values = graph.node("Add", [values, entering], f"{last}_add")
        values = graph.activation(values, block.activation)
    values = graph.node("GlobalAveragePool", [values], "pooled")
    values = graph.node("Flatten", [values], "features", axis=1)
    weights = [graph.constant(f"classifier_{kind}", getattr(network.classifier, kind)) for kind in ("weight", "bias")]
    graph.node("Gemm", [values, *weights], "scores", transB=1)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
            for name, shape in (("image", (1, 8, 8)), ("scores", (CLASSES,)))]
    model = helper.make_model(helper.make_graph(graph.nodes, "digits", ends[:1], ends[1:], graph.constants),
                              opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="accelsim")
    onnx.checker.check_model(model, full_check=True)
    return model


def _last_names() -> Iterator[str]:
    return (block.units[-1].name for block in BLOCKS)


def _unit(graph: Graph, network: DigitsNetwork, unit: Unit, values: str) -> str:
    pad = unit.kernel // 2
    convolved = graph.node(
        "Conv", [values, graph.constant(f"{unit.name}_weight", network.convolutions[unit.name].weight)], unit.name,
        kernel_shape=[unit.kernel] * 2, strides=[unit.stride] * 2, pads=[pad] * 4, group=unit.groups)
    normalization = network.normalizations[unit.name]
    names = [graph.constant(f"{unit.name}_{name}", getattr(normalization, attribute)) for name, attribute in (
        ("gamma", "weight"), ("beta", "bias"), ("mean", "running_mean"), ("variance", "running_var"))]
    return graph.node("BatchNormalization", [convolved, *names], f"{unit.name}_normalized", epsilon=normalization.eps)


def write(folder: Path, network: DigitsNetwork, digits: Digits, *, seed: int, epochs: int) -> dict[str, object]:
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(exported(network), folder / "digits.onnx")
    x_test, y_test = digits.test
    x_train, _ = digits.train
    np.savez_compressed(folder / "test.npz", image=x_test.astype(np.float32) / LARGEST_PIXEL, label=y_test)
    np.savez_compressed(folder / "calibration.npz", image=x_train[:CALIBRATION_IMAGES].astype(np.float32) / LARGEST_PIXEL)
    facts = {"test_accuracy": round(accuracy(network, x_test, y_test), 6), "test_images": len(x_test),
             "training_images": len(x_train), "calibration_images": min(CALIBRATION_IMAGES, len(x_train)),
             "parameters": sum(parameter.numel() for parameter in network.parameters()), "seed": seed, "epochs": epochs,
             "torch": torch.__version__.split("+")[0]}
    (folder / "digits.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the digits network and write it.")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    digits = load(options.seed)
    network = train(digits, epochs=options.epochs, seed=options.seed)
    print(json.dumps(write(options.out, network, digits, seed=options.seed, epochs=options.epochs)))


if __name__ == "__main__":
    main()
