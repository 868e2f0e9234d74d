"""A real scheduler and real workers on loopback; one of them is killed."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from accelsim import load_accelerator, load_network
from accelsim.errors import TableError
from accelsim.lut.store import Store
from accelsim.lut.table_builder import build_table

distributed = pytest.importorskip("distributed", reason="needs the extra cluster")
from accelsim.lut.cluster import Cluster  # noqa: E402

WIDTHS = {"weight_bits": [4, 8], "input_bits": [4, 8]}


@pytest.fixture(scope="module")
def expected():
    return build(1)


def build(workers, store=None, told=None):
    return build_table(load_network("mlperf_tiny_dscnn"), load_accelerator("edge_16x16"), **WIDTHS, workers=workers,
                       store=store, told=told)


@pytest.fixture
def processes():
    started = []

    def start(*arguments):
        process = subprocess.Popen([sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_a_table_is_the_same_when_a_worker_is_killed_in_its_midst(processes, expected, tmp_path):
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    processes("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    workers = [processes("dask_worker", address, "--nthreads", "1", "--nworkers", "1", "--no-nanny", "--no-dashboard",
                         "--host", "127.0.0.1") for _ in range(2)]
    with distributed.Client(address, timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
    rows = []

    def told(done, count, name):
        rows.append(done)
        if len(rows) == 4:
            os.kill(workers[0].pid, signal.SIGKILL)

    with Store(tmp_path / "runs.sqlite") as store:
        assert build(Cluster(address), store, told) == expected
        assert len(store) == rows[-1]
    assert workers[0].wait(timeout=10) == -signal.SIGKILL
    assert workers[1].poll() is None
    deadline = time.monotonic() + 10
    with distributed.Client(address, timeout=60) as client:
        while len(client.scheduler_info()["workers"]) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_local_cluster_gives_the_same_table(expected):
    assert build(Cluster("local", count=2)) == expected


def test_an_address_where_nobody_answers_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr("accelsim.lut.cluster._PATIENCE_SECONDS", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(TableError) as caught:
        build(Cluster(address))
    assert str(caught.value).startswith(f"{address}: expected a dask scheduler there, got: ")
    assert "\n" not in str(caught.value)


def test_a_scheduler_without_workers_is_told_in_one_line(monkeypatch, processes):
    monkeypatch.setattr("accelsim.lut.cluster._PATIENCE_SECONDS", 6)
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    processes("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    with pytest.raises(TableError) as caught:
        build(Cluster(address))
    assert str(caught.value) == f"{address}: expected a dask scheduler with at least one worker, got none"
