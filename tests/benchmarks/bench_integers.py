"""MobileNetV2-224 with its integers on a 16x16 grid, against LiteRT's own reference kernels on the same model and image.

The program is planned once, as LiteRT prepares its interpreter once. What is timed is a run of several images, by the image:
cycles, integers, widths and overflow events.
"""

import os
import statistics
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from accelsim import load_accelerator, plan, with_changes
from accelsim.machine.sample_runs import run_samples
from accelsim.workload.input_values import samples
from accelsim.workload.load import load_quantized_network

MODEL = "models/tflm/mobilenet_v2_quantized_1x3x224x224.tflite"
REPEATS, IMAGES = 7, 3


@pytest.fixture(scope="module")
def network():
    folder = os.environ.get("ACCELSIM_TEST_DATA")
    if folder is None:
        pytest.skip("ACCELSIM_TEST_DATA is not set: the trained models are not here")
    return load_quantized_network(Path(folder) / MODEL)


@pytest.fixture(scope="module")
def image(network):
    with np.load(Path(os.environ["ACCELSIM_TEST_DATA"]) / "inputs/photos224_rgb_u8.npz") as found:
        pixels = (found["x"][:1].astype(np.float32) / 255 - 0.45) / 0.225
    return samples(network, {"x": network.inputs[0].qparams.quantize(pixels.transpose(0, 3, 1, 2))})


@pytest.fixture(scope="module")
def litert_seconds(network, image):
    """One inference of BUILTIN_REF on one thread, the median."""
    interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai_edge_litert, to time LiteRT")
    interpreter = interpreters.Interpreter(model_path=network.path, num_threads=1,
                                           experimental_op_resolver_type=interpreters.OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[0][network.inputs[0].tensor])
    return median_seconds(interpreter.invoke)


def median_seconds(run):
    run()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


@pytest.mark.parametrize(("bits", "most"), [(32, 3), (16, 20)])
def test_a_run_with_integers_takes_a_few_times_litert_s_reference_kernels(network, image, litert_seconds, keeps, bits, most):
    chip = with_changes(load_accelerator("edge_16x16"), {"accumulators.bits": bits})
    program = plan(chip, network.network)
    events = []

    def run():
        ran = run_samples(chip, program, network, image * IMAGES, rule=network.rule, event_limit=100)
        events.append(sum(values.overflows.count for values in ran.values.values()) // IMAGES)

    own = median_seconds(run) / IMAGES
    ratio = own / litert_seconds
    keeps(what=f"MobileNetV2-224 int8, one image, integers on, {bits}-bit accumulators, against LiteRT BUILTIN_REF",
          measured=f"{own:.2f} s against {litert_seconds:.2f} s, {ratio:.1f} times; {events[-1]:,} overflow events",
          promise=f"at most {most} times", holds=ratio <= most)


def test_integers_add_little_memory(network, image, keeps):
    chip = load_accelerator("edge_16x16")
    program = plan(chip, network.network)
    tracemalloc.start()
    run_samples(chip, program, network, image, rule=network.rule, event_limit=100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    keeps(what="memory that MobileNetV2-224's integers add to the loaded network", measured=f"{peak / 2**20:.0f} MiB",
          promise="at most 64 MiB", holds=peak <= 64 * 2**20)
