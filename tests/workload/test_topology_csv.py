"""SCALE-Sim topology files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import WorkloadError
from accelsim.workload import Convolution, MatMul, Tensor, import_topology

CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
GEMM = "Layer, M, N, K,\n"


@pytest.fixture
def topology(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "net.csv"
        path.write_text(text)
        return path

    return write


def message(path: Path) -> str:
    with pytest.raises(WorkloadError) as error:
        import_topology(path)
    return str(error.value)


def test_convolutions_are_independent_layers(topology) -> None:
    network = import_topology(topology(CONV + "Conv1, 11, 9, 3, 3, 4, 8, 2,\n\nConv2, 5, 5, 5, 5, 8, 2, 1,\n"))
    first, second = network.layers
    assert first.operation == Convolution(batch=1, in_channels=4, out_channels=8, in_size=(11, 9), kernel=(3, 3),
                                          stride=(2, 2))
    assert first.inputs == (Tensor("Conv1.input", (1, 4, 11, 9), 8),)
    assert second.macs == 5 * 5 * 8 * 2
    assert network.outputs == ("Conv1.output", "Conv2.output")
    assert network.name == "net"


def test_first_layers_of_scale_sims_alexnet_have_its_macs(topology) -> None:
    network = import_topology(topology(CONV + "Conv1,224,224,11,11,3,96,4,\nConv2,31,31,5,5,96,256,1,\n"))
    # By hand, SCALE-Sim's ceil((224 - 11 + 4) / 4) = 55 and 31 - 5 + 1 = 27.
    assert [layer.macs for layer in network.layers] == [55 * 55 * 96 * 363, 27 * 27 * 256 * 2400]


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 6))
def test_output_size_is_scale_sims(size: int, kernel: int, stride: int) -> None:
    if kernel > size:
        return
    # Step by step: windows start every `stride` pixels until one reaches the last pixel.
    start, count = 0, 1
    while start + kernel < size:
        start += stride
        count += 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.csv"
        path.write_text(CONV + f"a,{size},{size},{kernel},{kernel},1,1,{stride},\n")
        assert import_topology(path).layers[0].output.shape == (1, 1, count, count)


def test_second_stride_is_horizontal(topology) -> None:
    header = CONV.replace("Strides,", "Stride height, Stride width,")
    (layer,) = import_topology(topology(header + "a, 8, 8, 2, 2, 1, 1, 2, 3,\n")).layers
    assert layer.output.shape == (1, 1, 4, 3)


def test_depthwise_layers_are_marked_by_their_name(topology) -> None:
    (layer,) = import_topology(topology(CONV + "Conv2_DP, 8, 8, 3, 3, 16, 1, 1,\n")).layers
    assert (layer.kind, layer.macs) == ("depthwise", 36 * 16 * 9)


def test_products_have_m_rows_n_columns_and_inner_size_k(topology) -> None:
    network = import_topology(topology(GEMM + "a, 128, 3072, 768,\na, 1, 2, 3\n"), batch=2, weight_bits=4)
    assert [(layer.name, layer.operation) for layer in network.layers] == [
        ("a", MatMul(m=256, k=768, n=3072)), ("a_2", MatMul(m=2, k=3, n=2))]
    assert network.layers[0].weights == Tensor("a.weights", (3072, 768), 4, is_constant=True)


@pytest.mark.parametrize(("text", "expected"), [
    ("", ": expected a header and layers, got blank lines"),
    ("\n \n", ": expected a header and layers, got blank lines"),
    (CONV, ": expected at least one layer, got only a header"),
    ("Layer, M, N,\na, 1, 2,\n", ':1: expected a column "k" in the header, got none'),
    (CONV.replace("Channels,", ""), ':1: expected a column "channels" in the header, got none'),
    (CONV.replace("Channels,", "Chanels,"), ':1: expected a column "channels" in the header, got "chanels"'),
    (GEMM + "a, 1, two, 3,\n", ':2: n: expected a whole number of at least 1, got "two"'),
    (GEMM + "\na, 1, 0, 3,\n", ':3: n: expected a whole number of at least 1, got "0"'),
    (GEMM + "a, 1, 2,\n", ":2: k: expected a whole number of at least 1, got nothing"),
    (GEMM + "a, 1, 2, 3, 4,\n", ":2: expected 4 columns as in the header, got 5"),
    (CONV + "a, 4, 4, 5, 3, 1, 1, 1,\n",
     ":2: filter height: expected a filter no larger than the input (4), got 5"),
    (CONV.replace("Strides,", "Strides, Sparsity,") + "a, 4, 4, 3, 3, 1, 1, 1, 2:4,\n",
     ':2: sparsity: expected the dense ratio 1:1, got "2:4"'),
])
def test_mistakes_name_line_and_column(topology, text: str, expected: str) -> None:
    path = topology(text)
    assert message(path) == f"{path}{expected}"
