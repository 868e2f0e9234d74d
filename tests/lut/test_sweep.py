"""One network on many accelerators: what `simulate` gives on each, each layer run once, the best designs found."""

import csv
import io
import itertools

import pytest

from accelsim import load_accelerator, load_network, simulate, with_changes
from accelsim.energy.area import estimate_area
from accelsim.errors import HardwareError, MappingError, TableError
from accelsim.lut.layer_cost import NetworkCost
from accelsim.lut.store import Store
from accelsim.lut.sweep import Design, Sweep, run_sweep
from accelsim.lut.table_header import TableHeader
from accelsim.lut.workers import ThisProcess
from accelsim.report.canvas import render
from accelsim.report.sweep import sweep_page, sweep_records
from accelsim.report.sweep_figure import draw_pareto
from accelsim.report.writer import csv_bytes

HEADER = TableHeader("0", "net", "", "chip", "", {}, clock_hz=10**9)


class Counting(ThisProcess):
    """Counts the jobs that are really run, and stops after some."""

    def __init__(self, most=10**9):
        self.jobs, self.most = 0, most

    def outcomes(self, jobs):
        for found in super().outcomes(jobs):
            if self.jobs == self.most:
                raise KeyboardInterrupt
            self.jobs += 1
            yield found


@pytest.fixture(scope="module")
def network():
    return load_network("mlperf_tiny_autoencoder")


@pytest.fixture(scope="module")
def chip():
    return load_accelerator("edge_16x16")


SETTINGS = {"pe_grid.rows": [8, 16], "dram.bandwidth": ["6.4 GB/s", "25.6 GB/s"]}


def test_every_design_costs_what_the_network_simulated_there_costs(network, chip):
    sweep = run_sweep(network, chip, SETTINGS)
    assert [design.values for design in sweep.designs] == list(itertools.product(*SETTINGS.values()))
    for design in sweep.designs:
        own = with_changes(chip, dict(zip(SETTINGS, design.values, strict=True)))
        result = simulate(own, network)
        assert (design.total.cycles, design.total.energy_pj, design.latency_us) == (
            result.total_cycles, result.total_energy_pj, result.latency_us)
        assert design.fingerprint == own.fingerprint
        assert design.area_um2 == estimate_area(own).total_um2
        assert design.memory_bound_layers == sum(layer.bound == "memory" for layer in result.layers)


def test_layers_keep_widths_that_no_choice_of_bits_could_say(chip):
    network = load_network("bert_base", batch=1, parameters={"sequence": 8})
    layers = network.layers[:12]
    network = type(network)("start of bert", layers)
    sweep = run_sweep(network, chip, {"vector_unit.lanes": [chip.vector_unit.lanes]})
    assert sweep.designs[0].total.cycles == simulate(chip, network).total_cycles


def test_an_interrupted_sweep_goes_on_where_it_stopped_and_a_larger_one_adds_to_it(network, chip, tmp_path):
    whole, first, rest, more = Counting(), Counting(most=5), Counting(), Counting()
    expected = run_sweep(network, chip, SETTINGS, workers=whole)
    with Store(tmp_path / "runs.sqlite") as store:
        with pytest.raises(KeyboardInterrupt):
            run_sweep(network, chip, SETTINGS, store=store, workers=first)
        assert run_sweep(network, chip, SETTINGS, store=store, workers=rest) == expected
        assert rest.jobs == whole.jobs - 5
        run_sweep(network, chip, SETTINGS | {"pe_grid.rows": [8, 16, 32]}, store=store, workers=more)
    assert more.jobs == whole.jobs // 2


def design(name, cycles, energy, area=None):
    return Design((name,), "f", 10**9, NetworkCost(cycles, energy, 1, 1, 1, 1), area_um2=area)


def front(*designs):
    return [found.values[0] for found in Sweep(HEADER, ("x",), designs, {}).front]


def test_the_front_has_the_designs_that_none_beats():
    assert front(design("slow", 9, 1.0, 5.0), design("fast", 1, 9.0, 5.0), design("worse", 9, 2.0, 5.0)) == ["fast", "slow"]
    assert front(design("small", 9, 9.0, 1.0), design("good", 1, 1.0, 2.0)) == ["good", "small"]
    assert front(design("a", 1, 1.0, 1.0), design("b", 1, 1.0, 1.0)) == ["a", "b"], "none of two equals is better"
    assert front(design("small", 9, 9.0), design("good", 1, 1.0, 2.0)) == ["good"], "an area that one lacks counts for none"


def test_an_impossible_design_stays_with_its_reason(network, chip):
    sweep = run_sweep(network, chip, {"memory.buffers.scratchpad.capacity": ["2 B", "256 KiB"], "pe_grid.rows": [0, 16]})
    told = [design.problem for design in sweep.designs]
    assert told[0] == told[2] == "pe_grid.rows: expected at least 1, got 0"
    assert "buffer scratchpad, which has 2 B" in told[1]
    assert told[3] == ""
    assert [design.total is None for design in sweep.designs] == [True, True, True, False]
    rows = list(csv.DictReader(io.StringIO(csv_bytes(sweep_records(sweep)).decode())))
    assert [row["problem"] for row in rows] == told
    assert [row["is_best"] for row in rows] == ["no", "no", "no", "yes"]


@pytest.mark.parametrize(("settings", "kind", "message"), [
    ({}, TableError, "expected at least one field to vary, got none"),
    ({"pe_grid.rows": []}, TableError, "pe_grid.rows: expected at least one value, got none"),
    ({"pe_grid.rwos": [1]}, HardwareError, 'expected the dotted path of a field, got "pe_grid.rwos" (did you mean '
                                           '"pe_grid.rows"?)'),
    ({"pe_grid.rows": [0]}, HardwareError, "pe_grid.rows: expected at least 1, got 0"),
    ({"pe_grid.rows": range(1, 101), "pe_grid.columns": range(1, 102)}, TableError,
     "expected at most 10,000 designs, got 10,100"),
])
def test_sweeps_that_make_no_sense_are_refused(network, chip, settings, kind, message):
    with pytest.raises(kind) as caught:
        run_sweep(network, chip, settings)
    assert str(caught.value) == message


def test_a_network_that_fits_on_no_design_is_refused(network, chip):
    with pytest.raises(MappingError) as caught:
        run_sweep(network, chip, {"memory.buffers.scratchpad.capacity": ["2 B"]})
    assert str(caught.value).startswith(f"{network.name}: the network fits on none of the designs: ")


def test_a_sweep_of_one_design_has_a_figure(network, chip):
    sweep = run_sweep(network, chip, {"pe_grid.rows": [8]})
    assert render(lambda: draw_pareto(sweep), name="pareto")["svg"].count(b"8</text>") >= 2


@pytest.mark.parametrize("area", [3e6, None])
def test_the_figure_and_the_page_show_every_design(area):
    designs = tuple(design(value, 1000 * value, 1e9 / value, area and area * (1 + value % 3)) for value in range(1, 30))
    sweep = Sweep(HEADER, ("pe_grid.rows",), (*designs, Design((99,), problem="pe_grid.rows: too many")), {})
    images = render(lambda: draw_pareto(sweep), name="pareto")
    assert images["png"].startswith(b"\x89PNG")
    page = sweep_page(sweep, images["svg"].decode())
    assert page.count("<tr data-kind") == 30
    assert "pe_grid.rows: too many" in page
    assert ("Area" in page and "mm²" in page) == (area is not None) or "–" in page
