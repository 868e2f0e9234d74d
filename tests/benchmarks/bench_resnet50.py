"""ResNet-50 at batch 1: CPU time of importing, mapping and simulating it, and the memory that takes."""

import subprocess
import sys
import time

import pytest

from accelsim import load_network, simulate

MOST_CPU_SECONDS = 1.0
MOST_BYTES = 400e6

#: Executed by a fresh Python. The peak is taken from /proc where there is one: ru_maxrss of a child starts at its parent's.
MEMORY_SCRIPT = """
import resource, sys
from pathlib import Path
from accelsim import load_accelerator, load_network, simulate
simulate(load_accelerator(sys.argv[2]), load_network(sys.argv[1]))
status = Path("/proc/self/status")
if status.exists():
    kibibytes = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
else:
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(kibibytes * 1024)
"""


@pytest.mark.benchmark(group="ResNet-50, CPU seconds", timer=time.process_time)
@pytest.mark.parametrize("size", [16, 128])
@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary", "input_stationary", "dot_product"])
def test_resnet50_takes_at_most_a_second_of_cpu(benchmark, cold, keeps, make_grid, resnet50_file, dataflow, size):
    accelerator = make_grid(size, dataflow)
    benchmark.pedantic(lambda: simulate(accelerator, load_network(resnet50_file)), setup=cold, rounds=5)
    seconds = benchmark.stats.stats.median
    keeps(what=f"ResNet-50 from ONNX on {size}x{size} {dataflow}, import, mapping and simulation",
          measured=f"{seconds:.2f} s CPU", promise=f"at most {MOST_CPU_SECONDS:g} s", holds=seconds <= MOST_CPU_SECONDS)


@pytest.mark.parametrize("preset", ["edge_16x16", "scalesim_128x128"])
def test_resnet50_takes_less_than_400_megabytes(keeps, resnet50_file, preset):
    output = subprocess.run([sys.executable, "-c", MEMORY_SCRIPT, str(resnet50_file), preset], check=True, text=True,
                            capture_output=True).stdout
    peak_bytes = int(output)
    keeps(what=f"ResNet-50 from ONNX on {preset}, peak memory of the process", measured=f"{peak_bytes / 1e6:.0f} MB",
          promise=f"less than {MOST_BYTES / 1e6:.0f} MB", holds=peak_bytes < MOST_BYTES)
