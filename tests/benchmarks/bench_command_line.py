"""What a user waits for at the prompt, Python's own start included."""

import subprocess
import sys

import pytest

MOST_SECONDS = 1.0


@pytest.mark.benchmark(group="command line, seconds on the clock")
def test_checking_a_preset_takes_less_than_a_second(benchmark, keeps):
    # What the console script `accelsim` executes, without the need to install it.
    command = [sys.executable, "-c", "from accelsim.cli.main import run; run()", "check", "edge_16x16"]
    done = benchmark.pedantic(subprocess.run, args=(command,), kwargs={"capture_output": True, "text": True},
                              rounds=7, warmup_rounds=1)
    assert done.returncode == 0, done.stderr
    assert "edge_16x16" in done.stdout
    seconds = benchmark.stats.stats.median
    keeps(what="accelsim check edge_16x16", measured=f"{seconds:.2f} s on the clock",
          promise=f"less than {MOST_SECONDS:g} s", holds=seconds < MOST_SECONDS)
