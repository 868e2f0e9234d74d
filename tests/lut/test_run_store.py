"""Runs are made once: whatever happens to the process, to the file, or to another build beside it."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from accelsim import load_accelerator, load_network
from accelsim.errors import TableError
from accelsim.lut.layer_cost import LayerCost
from accelsim.lut.store import Store, default_store_path
from accelsim.lut.table_builder import build_table
from accelsim.lut.workers import Processes, ThisProcess

COST = LayerCost(cycles=3, energy_pj=0.1, dram_bytes=2, weight_bytes=1, buffer_peak_bytes=8, bound="memory", macs=7,
                 effective_weight_bits=4)

#: Builds a table in the store of its first argument.
BUILD = """
import sys
from pathlib import Path
from accelsim import load_accelerator, load_network
from accelsim.lut.store import Store
from accelsim.lut.table_builder import build_table
if __name__ == "__main__":
    with Store(Path(sys.argv[1])) as store:
        build_table(load_network("mlperf_tiny_dscnn"), load_accelerator("edge_16x16"), weight_bits=[4, 8],
                    input_bits=[4, 8], store=store, workers=int(sys.argv[2]))
"""


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs a /proc that tells the children")


class Counting(ThisProcess):
    """Counts the jobs that are really run."""

    def __init__(self):
        self.jobs = 0

    def outcomes(self, jobs):
        self.jobs += len(jobs)
        return super().outcomes(jobs)


class Deadly:
    """A job that kills who runs it."""

    run = staticmethod(os.abort)


def build(store, workers, *, weights=(4, 8), name="mlperf_tiny_dscnn"):
    return build_table(load_network(name), load_accelerator("edge_16x16"), weight_bits=weights, input_bits=[4, 8],
                       store=store, workers=workers)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store with a table, and the table."""
    path = tmp_path_factory.mktemp("filled") / "runs.sqlite"
    with Store(path) as store:
        return path, build(store, 1)


@pytest.fixture
def whole_table(filled):
    return filled[1]


@pytest.fixture
def path(filled, tmp_path):
    """A copy of the store with the table."""
    shutil.copy(filled[0], tmp_path / "runs.sqlite")
    return tmp_path / "runs.sqlite"


def test_a_cost_comes_back_as_it_was(tmp_path):
    with Store(tmp_path / "new" / "runs.sqlite") as store:
        store.put({"a": COST, "b": LayerCost(1, 0.0, 0, 0, 0, "compute")})
    with Store(tmp_path / "new" / "runs.sqlite") as store:
        assert store.get(["a", "c", "a"]) == {"a": COST}
        assert len(store) == 2


def test_a_second_table_runs_nothing_that_the_first_one_ran(path, whole_table):
    second, wider, other = Counting(), Counting(), Counting()
    with Store(path) as store:
        first = len(store)
        assert build(store, second) == whole_table
        build(store, wider, weights=(3, 4, 8))
        build(store, other, name="mlperf_tiny_autoencoder")
    assert second.jobs == 0
    assert 0 < wider.jobs < first
    assert other.jobs > 0


def test_equal_layers_are_run_once():
    counting = Counting()
    table = build(None, counting)
    kinds = {tuple(table.cost(layer, bits).cycles for bits in table.choices(layer)) for layer in table.layers}
    assert counting.jobs < len(table.costs)
    # On the grid stem, depthwise and pointwise convolutions and classifier, beside it pooling and softmax.
    assert counting.jobs == 4 * 8 + 2 * 4
    assert len(kinds) == 6


def test_a_killed_build_loses_at_most_the_layers_in_flight(tmp_path, whole_table):
    path, workers = tmp_path / "runs.sqlite", 2
    script = tmp_path / "build.py"
    script.write_text(BUILD, encoding="utf-8")
    process = subprocess.Popen([sys.executable, str(script), str(path), str(workers)])
    seen = 0
    while process.poll() is None and seen < 3:
        time.sleep(0.02)
        seen = rows(path)
    assert process.poll() is None, "it was over before it could be killed"
    seen = rows(path)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = rows(path)
    assert seen <= left, "a row that was there is gone"
    counting = Counting()
    with Store(path) as store:
        assert len(store) == left
        assert build(store, counting) == whole_table
        assert counting.jobs == len(store) - left


def rows(path):
    try:
        connection = sqlite3.connect(f"file:{path.as_posix()}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute("SELECT count(*) FROM runs").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return 0


@needs_proc
def test_workers_end_with_a_process_that_was_killed(tmp_path):
    script, path = tmp_path / "build.py", tmp_path / "runs.sqlite"
    script.write_text(BUILD, encoding="utf-8")
    process = subprocess.Popen([sys.executable, str(script), str(path), "2"])
    while process.poll() is None and rows(path) < 2:
        time.sleep(0.02)
    children = children_of(process.pid)
    process.kill()
    process.wait()
    assert len(children) >= 2
    deadline = time.monotonic() + 20
    while any(is_alive(child) for child in children):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.05)


def children_of(parent):
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(status.parent.name))
    return found


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def test_two_builds_at_once_give_the_same_table_in_one_store(tmp_path, whole_table):
    path, script = tmp_path / "runs.sqlite", tmp_path / "build.py"
    script.write_text(BUILD, encoding="utf-8")
    both = [subprocess.Popen([sys.executable, str(script), str(path), "1"], stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, b"")
    counting = Counting()
    with Store(path) as store:
        assert build(store, counting) == whole_table
    assert counting.jobs == 0


def test_processes_give_the_table_of_one_process(whole_table):
    assert build(None, 2) == whole_table


@needs_proc
def test_the_jobs_of_a_worker_that_is_killed_are_made_by_another_one(whole_table):
    killed = []

    def told(done, count, name):
        workers = [child for child in children_of(os.getpid())
                   if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes() and is_alive(child)]
        if done and not killed and workers:
            killed.append(workers[0])
            os.kill(workers[0], signal.SIGKILL)

    assert build_table(load_network("mlperf_tiny_dscnn"), load_accelerator("edge_16x16"), weight_bits=[4, 8],
                       input_bits=[4, 8], workers=2, told=told) == whole_table
    assert len(killed) == 1


def test_workers_that_die_again_and_again_are_told_in_one_line():
    with pytest.raises(TableError) as caught:
        list(Processes(1).outcomes([Deadly()]))
    assert str(caught.value) == ("workers: worker processes were killed 3 times, 1 of 1 layers are missing; with fewer "
                                 "workers each has more memory")


@pytest.mark.parametrize("damage", ["text", "middle", "empty_table"])
def test_a_damaged_file_is_kept_beside_a_new_one_and_every_run_is_there_again(path, tmp_path, damage, whole_table):
    told, content = [], path.read_bytes()
    with Store(path) as store:
        count = len(store)
    if damage == "text":
        path.write_bytes(b"this is no database, and never was one\n" * 400)
    elif damage == "middle":
        path.write_bytes(content[:4096] + b"\xff" * (len(content) - 8192) + content[-4096:])
    else:
        path.unlink()
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE runs (something TEXT)")
        database.close()
    with Store(path, told.append) as store:
        assert build(store, 1) == whole_table
        assert len(store) == count
    assert len(told) == 1
    assert told[0].startswith(f"{path}: the store of runs was damaged; it is kept as runs.sqlite.damaged1, ")
    assert told[0].endswith(" of its runs were taken over, the others are made again")
    assert (tmp_path / "runs.sqlite.damaged1").exists()


def test_a_file_that_is_damaged_while_it_is_used_costs_no_table(path, whole_table):
    told = []
    with Store(path, told.append) as store:
        path.write_bytes(b"\xff" * path.stat().st_size)
        assert build(store, 1) == whole_table
    assert len(told) <= 1


def test_a_row_that_is_not_whole_is_run_again(path, whole_table):
    counting = Counting()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE runs SET cost = '{\"cycles\": 3}' WHERE key IN (SELECT key FROM runs LIMIT 2)")
    database.close()
    with Store(path) as store:
        assert build(store, counting) == whole_table
    assert counting.jobs == 2


def test_a_store_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(TableError) as caught:
        Store(tmp_path / "file" / "runs.sqlite")
    assert str(caught.value).startswith(f"{tmp_path / 'file' / 'runs.sqlite'}: the store of runs cannot be made: ")
    with pytest.raises(TableError) as caught:
        Store(tmp_path)
    assert str(caught.value) == f"{tmp_path}: the store of runs cannot be used: unable to open database file"


def test_the_store_is_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("ACCELSIM_CACHE", str(tmp_path))
    assert default_store_path() == tmp_path / "runs.sqlite"
    monkeypatch.delenv("ACCELSIM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_store_path() == tmp_path / "accelsim" / "runs.sqlite"
