"""The same ResNet-50 on the same 128x128 weight-stationary grid, in accelsim and in SCALE-Sim 3.0.0, one after the other."""

import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import pytest

from accelsim import load_accelerator, load_network, simulate
from accelsim.workload.operation import Convolution

LEAST_RATIO = 100
SCALESIM_PYTHON = os.environ.get("SCALESIM_PYTHON", "")


def topology_line(layer):
    """A layer in SCALE-Sim's format: the input is padded as far as windows reach, a product is a 1x1 convolution."""
    operation = layer.operation
    if not isinstance(operation, Convolution):
        return f"{layer.name}, {operation.m}, 1, 1, 1, {operation.k}, {operation.n}, 1,"
    height, width = ((out - 1) * stride + kernel
                     for out, stride, kernel in zip(operation.out_size, operation.stride, operation.kernel, strict=True))
    return (f"{layer.name}, {height}, {width}, {operation.kernel[0]}, {operation.kernel[1]}, {operation.in_channels}, "
            f"{operation.out_channels}, {operation.stride[0]},")


@pytest.fixture
def topology(tmp_path):
    """The grid layers of the shipped ResNet-50 as a topology file."""
    header = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
    lines = [topology_line(layer) for layer in load_network("resnet50").layers if layer.is_on_grid]
    path = tmp_path / "resnet50.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.mark.skipif(not SCALESIM_PYTHON, reason="SCALESIM_PYTHON names no Python that has SCALE-Sim (minutes and 9 GB)")
def test_accelsim_takes_a_hundredth_of_the_cpu_time_of_scalesim(cold, keeps, topology):
    accelerator = load_accelerator("scalesim_128x128")
    seconds = []
    for _ in range(5):
        cold()
        started = time.process_time()
        network = load_network(topology)
        simulate(accelerator, network)
        seconds.append(time.process_time() - started)
    own = statistics.median(seconds)
    assert network.macs == load_network("resnet50").macs
    script = Path(__file__).with_name("run_scalesim.py")
    grid = ["--kind", "conv", "--dataflow", "ws", "--rows", "128", "--columns", "128"]
    theirs = json.loads(subprocess.run([SCALESIM_PYTHON, str(script), str(topology), *grid], check=True, text=True,
                                       stdout=subprocess.PIPE).stdout)
    assert len(theirs["cycles"]) == len(network.layers) == 54
    ratio = theirs["cpu_seconds"] / own
    keeps(what="ResNet-50 on 128x128 weight stationary, accelsim against SCALE-Sim " + theirs["version"],
          measured=f"{own:.2f} s against {theirs['cpu_seconds']:.0f} s CPU ({theirs['peak_bytes'] / 1e9:.1f} GB), "
                   f"{ratio:.0f} times faster; SCALE-Sim published {sum(theirs['cycles']):,} cycles",
          promise=f"at least {LEAST_RATIO} times", holds=ratio >= LEAST_RATIO)
