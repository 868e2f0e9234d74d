"""How the machine's compute cycles relate to those that SCALE-Sim 3.0.0 publishes: exactly, for every layer.

The machine counts ``2R + C + T - 2`` cycles a fold. SCALE-Sim publishes the same sum minus one for a weight- or
input-stationary layer. For an output-stationary layer it leaves out the drain of the PEs, R cycles a fold, and then one
cycle as well.
"""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import Accelerator, Layer, MappingOptions, Network, Tensor, load_network, simulate
from accelsim.workload.operation import MatMul

DATAFLOWS = {"ws": "weight_stationary", "os": "output_stationary", "is": "input_stationary"}
GRIDS = ((16, 16), (128, 128), (8, 32), (32, 8))

#: Load, load, compute, requantize, store: the whole layer is one compute step.
STEPS_OF_ONE_TILE = 5

CONVOLUTIONS = """\
Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
first,           16, 16, 3, 3,  3, 16, 2,
pointwise,        8,  8, 1, 1, 16, 24, 1,
window,           9,  9, 3, 3, 12, 10, 1,
strided,         13, 11, 3, 3,  8, 20, 2,
wide_kernel,     14, 14, 5, 5,  4,  7, 3,
tall,            20,  5, 3, 1, 10,  9, 1,
one_filter,      10, 10, 2, 2,  5,  1, 1,
fully_connected,  1,  1, 1, 1, 64, 33, 1,
"""

PRODUCTS = """\
Layer, M, N, K,
exact_fold,  16, 16, 16,
one_of_each,  1,  1,  1,
ragged,      17, 23, 31,
long_m,     120,  9, 10,
long_n,       7, 90, 12,
long_k,      11, 13, 150,
row_vector,   1, 40, 70,
column,      50,  1, 29,
"""

# "Total Cycles" of SCALE-Sim 3.0.0's COMPUTE_REPORT.csv in its CALC mode, with no stall cycles anywhere. Produced with
# scalesim 3.0.0 from PyPI, numpy 1.26.4 and Python 3.11, the two texts above saved as conv.csv and gemm.csv, and a line by
#     python tests/benchmarks/run_scalesim.py conv.csv --kind conv --dataflow ws --rows 8 --columns 8
# Depthwise layers are missing because SCALE-Sim has none: it reads one as many layers of one channel.
PUBLISHED = {
    ("conv", "ws", 8, 8): (687, 515, 1987, 1403, 493, 895, 308, 919),
    ("conv", "ws", 4, 16): (601, 687, 1916, 1871, 949, 895, 514, 1103),
    ("conv", "ws", 16, 4): (783, 587, 1742, 1599, 699, 743, 229, 1259),
    ("conv", "os", 8, 8): (655, 719, 1707, 1031, 227, 1055, 373, 389),
    ("conv", "os", 4, 16): (719, 1087, 1637, 1439, 471, 1103, 797, 245),
    ("conv", "os", 16, 4): (719, 815, 1511, 899, 235, 863, 227, 737),
    ("conv", "is", 8, 8): (1215, 735, 3135, 1511, 753, 1487, 758, 439),
    ("conv", "is", 4, 16): (1063, 735, 3455, 1511, 724, 1487, 689, 879),
    ("conv", "is", 16, 4): (1599, 927, 4003, 2159, 1147, 1977, 1469, 267),
    ("gemm", "ws", 8, 8): (151, 22, 467, 567, 695, 1253, 1034, 287),
    ("gemm", "ws", 4, 16): (151, 22, 623, 425, 521, 1253, 1241, 575),
    ("gemm", "ws", 16, 4): (199, 34, 611, 461, 942, 1799, 1749, 167),
    ("gemm", "os", 8, 8): (119, 14, 404, 719, 311, 655, 419, 300),
    ("gemm", "os", 4, 16): (135, 18, 489, 839, 359, 503, 263, 610),
    ("gemm", "os", 16, 4): (135, 18, 587, 671, 689, 671, 879, 187),
    ("gemm", "is", 8, 8): (151, 22, 539, 929, 223, 1329, 557, 643),
    ("gemm", "is", 4, 16): (151, 22, 719, 743, 335, 1329, 1115, 735),
    ("gemm", "is", 16, 4): (199, 34, 569, 1289, 247, 1409, 369, 909),
}

# The same column for the 54 grid layers of the shipped resnet50, in their order, on 128x128 weight stationary: the run of
# tests/benchmarks/bench_scalesim.py, 916,490 cycles in all.
PUBLISHED_RESNET50 = (
    25851,
    3517, 17589, 7035, 7035, 7035, 17589, 7035, 7035, 17589, 7035,
    7035, 10493, 4663, 9327, 4663, 10493, 4663, 4663, 10493, 4663, 4663, 10493, 4663,
    9327, 20807, 9247, 18495, 9247, 20807, 9247, 9247, 20807, 9247, 9247, 20807, 9247, 9247, 20807, 9247, 9247,
    20807, 9247,
    18495, 62063, 27583, 55167, 27583, 62063, 27583, 27583, 62063, 27583,
    49023,
)


def accelerator_without_memory_limits(dataflow, rows, columns):
    """A grid whose folds follow one another and that never waits: every layer fits as one tile."""
    return Accelerator.model_validate({
        "schema_version": 1, "name": "unlimited", "clock": "1 GHz",
        "pe_grid": {"rows": rows, "columns": columns, "dataflow": DATAFLOWS[dataflow], "overlap": "none"},
        "accumulators": {"entries": 2**40}, "requantizer": {"lanes": 2**40}, "vector_unit": {"lanes": 2**40},
        "memory": {"buffers": {"all": {"capacity": "1 TiB", "holds": ["weights", "inputs", "outputs"],
                                       "bytes_per_cycle": 2**40}}},
        "dma": {"issue_cycles": 0}, "dram": {"bandwidth": "1000000000 GB/s"},
        "energy": {"name": "unit", "technology": "none", "source": "none", "multiply": [{"bits": 8, "energy": "1 pJ"}],
                   "add": [{"bits": 8, "energy": "1 pJ"}], "register": "1 pJ/bit", "dram": "1 pJ/bit",
                   "sram": [{"capacity": "1 KiB", "access_bits": 8, "energy": "1 pJ"}]}})


def compute_cycles(dataflow, rows, columns, network):
    """Layer -> compute cycles of the machine, with a check that each layer really is one tile."""
    result = simulate(accelerator_without_memory_limits(dataflow, rows, columns), network,
                      options=MappingOptions(proved_candidates=1))
    layers = [layer for layer in result.layers if layer.unit == "pe_grid"]
    assert {layer.steps for layer in layers} == {STEPS_OF_ONE_TILE}
    return {layer.name: layer.compute_cycles for layer in layers}


def product_sizes(layer):
    """(M, K, N) of the matrix product that a layer is, from the shapes of its tensors alone."""
    n, *reduced = layer.weights.shape[-2:] if isinstance(layer.operation, MatMul) else layer.weights.shape
    return math.prod(layer.output.shape) // n, math.prod(reduced), n


def fold_count_and_stream(dataflow, rows, columns, m, k, n):
    """(folds, streamed steps T): WS has K on rows and N on columns, OS has M and N, IS has K and M."""
    on_rows, on_columns, streamed = {"ws": (k, n, m), "os": (m, n, k), "is": (k, m, n)}[dataflow]
    return math.ceil(on_rows / rows) * math.ceil(on_columns / columns), streamed


def textbook_cycles(dataflow, rows, columns, m, k, n):
    folds, streamed = fold_count_and_stream(dataflow, rows, columns, m, k, n)
    return folds * (2 * rows + columns + streamed - 2)


def published_cycles(dataflow, rows, columns, m, k, n):
    """What SCALE-Sim 3.0.0 prints."""
    folds, streamed = fold_count_and_stream(dataflow, rows, columns, m, k, n)
    fill_and_drain = (rows if dataflow == "os" else 2 * rows) + columns - 2
    return folds * (fill_and_drain + streamed) - 1


def load_topology(kind, folder):
    path = folder / f"{kind}.csv"
    path.write_text({"conv": CONVOLUTIONS, "gemm": PRODUCTS}[kind])
    return load_network(path)


@pytest.mark.parametrize(("rows", "columns"), GRIDS)
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_every_layer_of_resnet50_takes_the_textbook_cycles_of_its_folds(dataflow, rows, columns):
    network = load_network("resnet50")
    expected = {layer.name: textbook_cycles(dataflow, rows, columns, *product_sizes(layer))
                for layer in network.layers if layer.is_on_grid}
    assert len(expected) == 54
    assert compute_cycles(dataflow, rows, columns, network) == expected


@pytest.mark.parametrize(("rows", "columns"), GRIDS)
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_scalesim_publishes_one_cycle_less_per_layer_and_no_drain_of_output_stationary_folds(dataflow, rows, columns):
    network = load_network("resnet50")
    measured = compute_cycles(dataflow, rows, columns, network)
    for layer in network.layers:
        if layer.is_on_grid:
            folds, _ = fold_count_and_stream(dataflow, rows, columns, *product_sizes(layer))
            drains = folds * rows if dataflow == "os" else 0
            assert measured[layer.name] == published_cycles(dataflow, rows, columns, *product_sizes(layer)) + drains + 1


@pytest.mark.parametrize(("kind", "dataflow", "rows", "columns"), PUBLISHED)
def test_compute_cycles_follow_from_what_scalesim_published(kind, dataflow, rows, columns, tmp_path):
    network = load_topology(kind, tmp_path)
    expected = {}
    for layer, published in zip(network.layers, PUBLISHED[kind, dataflow, rows, columns], strict=True):
        folds, _ = fold_count_and_stream(dataflow, rows, columns, *product_sizes(layer))
        expected[layer.name] = published + 1 + (folds * rows if dataflow == "os" else 0)
    assert compute_cycles(dataflow, rows, columns, network) == expected


def test_compute_cycles_of_resnet50_follow_from_what_scalesim_published():
    measured = compute_cycles("ws", 128, 128, load_network("resnet50"))
    assert tuple(cycles - 1 for cycles in measured.values()) == PUBLISHED_RESNET50


@pytest.mark.parametrize(("kind", "dataflow", "rows", "columns"), PUBLISHED)
def test_the_formula_of_scalesims_figures_reproduces_its_runs(kind, dataflow, rows, columns, tmp_path):
    layers = load_topology(kind, tmp_path).layers
    formula = tuple(published_cycles(dataflow, rows, columns, *product_sizes(layer)) for layer in layers)
    assert formula == PUBLISHED[kind, dataflow, rows, columns]


# Slow reference: walk through the grid ---------------------------------------------------------------------------------


def cycles_of_all_folds_step_by_step(dataflow, rows, columns, m, k, n):
    """Cut the product into folds and follow every operand through every PE; nothing overlaps."""
    on_rows, on_columns, streamed = {"ws": (k, n, m), "os": (m, n, k), "is": (k, m, n)}[dataflow]
    now = 0
    for _ in range(0, on_rows, rows):
        for _ in range(0, on_columns, columns):
            if dataflow == "os":
                last_product = max(now + step + row + column
                                   for step in range(streamed) for row in range(rows) for column in range(columns))
                for _ in range(rows):  # one row of results leaves at the bottom each cycle
                    last_product += 1
                now = last_product + 1
            else:
                for _ in range(rows):  # one row of the stationary operand enters at the top each cycle
                    now += 1
                now = 1 + max(now + step + row + column
                              for step in range(streamed) for row in range(rows) for column in range(columns))
    return now


def single_product(m, k, n):
    x, w, y = Tensor("x", (m, k), 8), Tensor("w", (n, k), 8, is_constant=True), Tensor("y", (m, n), 8)
    return Network("product", (Layer("product", MatMul(m=m, k=k, n=n), (x,), y, weights=w),), outputs=("y",))


@settings(max_examples=60, deadline=None)
@given(dataflow=st.sampled_from(tuple(DATAFLOWS)), rows=st.integers(1, 7), columns=st.integers(1, 7),
       m=st.integers(1, 30), k=st.integers(1, 30), n=st.integers(1, 30))
def test_random_products_take_as_long_as_a_walk_through_the_grid(dataflow, rows, columns, m, k, n):
    measured = compute_cycles(dataflow, rows, columns, single_product(m, k, n))
    assert measured == {"product": cycles_of_all_folds_step_by_step(dataflow, rows, columns, m, k, n)}
