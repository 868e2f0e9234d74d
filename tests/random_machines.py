"""Random accelerators, layers and tilings for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from accelsim.hardware.accelerator import Accelerator
from accelsim.mapping.candidates import candidates, cuts
from accelsim.mapping.lowering import lower
from accelsim.mapping.tiling import Tiling
from accelsim.workload.layer import Layer
from accelsim.workload.operation import Convolution, Elementwise, MatMul, Pooling, Softmax
from accelsim.workload.tensor import Tensor

DATAFLOWS = ("weight_stationary", "output_stationary", "input_stationary", "dot_product")
HUGE = "1 GiB"


@st.composite
def descriptions(draw):
    """The YAML of a random accelerator, as data; buffers are large enough for whole small layers."""
    dataflow = draw(st.sampled_from(DATAFLOWS))
    shared = draw(st.booleans())

    def buffer(holds):
        return {"capacity": HUGE, "holds": holds, "bytes_per_cycle": draw(st.sampled_from((1, 4, 16, 64))),
                "ports": draw(st.integers(1, 3)), "double_buffered": draw(st.booleans())}

    if shared:
        buffers = {"scratchpad": buffer(["weights", "inputs", "outputs"])}
    else:
        buffers = {"w": buffer(["weights"]), "x": buffer(["inputs"]), "y": buffer(["outputs"])}
    grid = {"rows": draw(st.integers(1, 6)), "columns": draw(st.integers(1, 6)), "dataflow": dataflow,
            "overlap": draw(st.sampled_from(("none", "full"))), "pixels": draw(st.integers(1, 2)),
            "reduction": draw(st.sampled_from(("window_channels", "channels"))),
            "extra_stages": draw(st.integers(0, 2)), "swap_spacing": draw(st.integers(0, 9)),
            "trims_partial_folds": draw(st.booleans())}
    return {
        "schema_version": 1, "name": "random", "clock": "1 GHz", "pe_grid": grid,
        "accumulators": {"entries": 1_000_000, "double_buffered": draw(st.booleans())},
        "requantizer": {"lanes": draw(st.integers(1, 8)), "latency_cycles": draw(st.integers(0, 5))},
        "vector_unit": {"lanes": draw(st.integers(1, 8)), "latency_cycles": draw(st.integers(0, 5))},
        "memory": {"buffers": buffers},
        "dma": {"queues": draw(st.integers(1, 4)), "burst": f"{draw(st.sampled_from((4, 16, 64)))} B",
                "issue_cycles": draw(st.integers(0, 3)), "arbitration": "program_order"},
        "dram": {"bandwidth": f"{draw(st.integers(1, 40))} GB/s", "read_latency": f"{draw(st.integers(0, 30))} cycles",
                 "write_latency": f"{draw(st.integers(0, 30))} cycles", "burst": f"{draw(st.sampled_from((4, 16, 64)))} B"},
        "energy": {"name": "unit", "technology": "none", "source": "none", "multiply": [{"bits": 8, "energy": "1 pJ"}],
                   "add": [{"bits": 8, "energy": "1 pJ"}], "register": "1 pJ/bit", "dram": "1 pJ/bit",
                   "sram": [{"capacity": "1 KiB", "access_bits": 8, "energy": "1 pJ"}]}}


accelerators = descriptions().map(Accelerator.model_validate)


@st.composite
def grid_layers(draw, name="layer"):
    """A small convolution (also grouped, strided, dilated, transposed) or matrix product (also of two activations)."""
    bits = draw(st.sampled_from((2, 4, 5, 6, 8)))
    weight_bits = draw(st.sampled_from((1, 2, 3, 4, 6, 8)))
    if draw(st.booleans()):
        m, k, n, batch = (draw(st.integers(1, top)) for top in (12, 20, 12, 3))
        has_activation_weights = batch > 1 or draw(st.booleans())
        operation = MatMul(m=m, k=k, n=n, batch=batch, has_activation_weights=has_activation_weights)
        inputs = (Tensor(f"{name}.x", (batch, m, k), bits),)
        weights = Tensor(f"{name}.w", (batch, n, k), bits if has_activation_weights else weight_bits,
                         is_constant=not has_activation_weights)
        output = Tensor(f"{name}.y", (batch, m, n), bits)
        if has_activation_weights:
            return Layer(name, operation, (*inputs, weights), output)
        return Layer(name, operation, inputs, output, weights=weights, bias=Tensor(f"{name}.b", (n,), 32, is_constant=True))
    groups = draw(st.integers(1, 4))
    operation = Convolution(
        batch=draw(st.integers(1, 2)), in_channels=groups * draw(st.integers(1, 4)),
        out_channels=groups * draw(st.integers(1, 4)), in_size=(draw(st.integers(3, 7)), draw(st.integers(3, 7))),
        kernel=(draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        stride=(draw(st.integers(1, 2)), draw(st.integers(1, 2))), pads=(1, 1, 1, 1), groups=groups,
        is_transposed=draw(st.sampled_from((False, False, True))))
    weights = Tensor(f"{name}.w", (operation.out_channels, operation.in_channels // groups, *operation.kernel), weight_bits,
                     is_constant=True)
    x = Tensor(f"{name}.x", (operation.batch, operation.in_channels, *operation.in_size), bits)
    return Layer(name, operation, (x,), Tensor(f"{name}.y", operation.out_shape, bits), weights=weights)


@st.composite
def vector_layers(draw, name="layer"):
    """A small pooling, element-wise or softmax layer."""
    shape = (1, draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    x, y, z = (Tensor(f"{name}.{letter}", shape, draw(st.sampled_from((4, 8)))) for letter in "xyz")
    kind = draw(st.integers(0, 2))
    if kind == 0:
        return Layer(name, Elementwise("add", shape), (x, y), z)
    if kind == 1:
        return Layer(name, Softmax(shape, shape[1]), (x,), z)
    out = (1, shape[1], 1, 1)
    return Layer(name, Pooling("average", out, shape[2:]), (x,), Tensor(f"{name}.o", out, 8))


@st.composite
def tilings(draw, layer, accelerator):
    """Any of the mapper's candidates, or a ragged tiling that it would not think of."""
    work = lower(layer)
    every = candidates(work, accelerator.pe_grid)
    lag = draw(st.integers(0, 1))
    if draw(st.booleans()):
        return every.tiling(draw(st.integers(0, len(every) - 1)), store_lag=lag)
    base = every.tiling(0)
    return Tiling(groups=1, images=1, rows=draw(st.sampled_from(cuts(work.rows.out_size, 1))),
                  columns=draw(st.sampled_from(cuts(work.columns.out_size, 1))), n=draw(st.integers(1, work.n)),
                  k=draw(st.integers(1, work.k)), order=base.order, weight_scope=draw(st.sampled_from(("slice", "layer"))),
                  input_scope=draw(st.sampled_from(("slice", "block"))), store_lag=lag)
