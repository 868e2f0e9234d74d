"""Design-space sweeps: one network on many accelerators that differ in some fields, from the same runs as latency tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from accelsim.energy.area import estimate_area
from accelsim.errors import HardwareError, MappingError, TableError
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.changes import with_changes
from accelsim.hardware.document_path import path_mistake
from accelsim.lut.layer_cost import LayerCost, NetworkCost
from accelsim.lut.run_plan import ChipRuns, Run, Told, costs_of
from accelsim.lut.store import Store
from accelsim.lut.table_header import TableHeader
from accelsim.lut.workers import Workers
from accelsim.mapping.options import MappingOptions
from accelsim.workload.network import Network

#: More designs than this are a mistake in the options.
MOST_DESIGNS = 10_000

#: Values of a field as the YAML has them.
Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Design:
    """One combination of values, and what the network costs there.

    Parameters
    ----------
    values : in the order of the sweep's fields.
    fingerprint : of the accelerator; "" for an impossible one.
    clock_hz : its clock; 0 for an impossible one.
    total : of the network; None where it cannot be built or a layer fits nowhere.
    memory_bound_layers : of all.
    area_um2 : of the parts that the energy table has areas for; None where it has none.
    area_omitted : parts that it has no area for.
    problem : why there is no total, else "".
    """

    values: tuple[Value, ...]
    fingerprint: str = ""
    clock_hz: int = 0
    total: NetworkCost | None = None
    memory_bound_layers: int = 0
    area_um2: float | None = None
    area_omitted: tuple[str, ...] = ()
    problem: str = ""

    @property
    def latency_us(self) -> float:
        assert self.total is not None, "an impossible design takes no time"
        return self.total.microseconds(clock_hz=self.clock_hz)

    @property
    def objectives(self) -> tuple[float, ...]:
        """What a good design has little of: time, energy and, where it is known, area."""
        assert self.total is not None, "an impossible design has no objectives"
        return (self.latency_us, self.total.energy_pj, *(() if self.area_um2 is None else (self.area_um2,)))


@dataclass(frozen=True, slots=True)
class Sweep:
    """All designs of a sweep.

    Parameters
    ----------
    header : of the accelerator that they are variations of.
    fields : dotted paths that are varied.
    designs : every combination, the last field varying fastest.
    unsupported : operators that were not simulated, with their number.
    """

    header: TableHeader
    fields: tuple[str, ...]
    designs: tuple[Design, ...]
    unsupported: Mapping[str, int]

    @property
    def possible(self) -> tuple[Design, ...]:
        return tuple(design for design in self.designs if design.total is not None)

    @property
    def has_area(self) -> bool:
        return all(design.area_um2 is not None for design in self.possible)

    @property
    def front(self) -> tuple[Design, ...]:
        """Designs than which no other one is at least as good in everything and better in something, the fastest first."""
        candidates = [(self._compared(design), design) for design in self.possible]
        best = [design for own, design in candidates if not any(_dominates(other, own) for other, _ in candidates)]
        return tuple(sorted(best, key=lambda design: design.objectives))

    def _compared(self, design: Design) -> tuple[float, ...]:
        return design.objectives if self.has_area else design.objectives[:2]


def run_sweep(
    network: Network, accelerator: Accelerator, settings: Mapping[str, Sequence[Value]], *,
    options: MappingOptions | None = None, store: Store | None = None, workers: int | Workers = 1, told: Told | None = None
) -> Sweep:
    """The network on every combination of these values.

    Every layer is run by itself, so what one design has run no other one with an equal layer and accelerator runs again, and
    an interrupted sweep goes on where it stopped. A combination that is impossible, or on which a layer fits nowhere, stays
    in the sweep with its reason.

    Parameters
    ----------
    settings : dotted path of a field -> values as in the YAML.
    options : of the mapping, with residency and prefetch off.
    store, workers, told : as of `accelsim.lut.table_builder.build_table`.

    Raises
    ------
    TableError : no field, a field without values, too many designs, or energies of different units.
    HardwareError : a field that does not exist, or no possible design at all.
    MappingError : designs are possible, but the network fits on none.

    Examples
    --------
    >>> from accelsim.hardware.loader import load_accelerator
    >>> from accelsim.workload.load import load_network
    >>> sweep = run_sweep(load_network("mlperf_tiny_autoencoder"), load_accelerator("edge_16x16"), {"pe_grid.rows": [8, 16]})
    >>> [(design.values, design.total.macs) for design in sweep.designs]
    [((8,), 264192), ((16,), 264192)]
    """
    options = options or MappingOptions()
    _check(accelerator, settings, options)
    fields = tuple(settings)
    chips = [_changed(accelerator, dict(zip(fields, values, strict=True))) for values in product(*settings.values())]
    if all(isinstance(chip, HardwareError) for chip in chips):
        raise next(chip for chip in chips if isinstance(chip, HardwareError))
    _check_units([chip for chip in chips if isinstance(chip, Accelerator)])
    runs = [[] if isinstance(chip, HardwareError) else _runs(network, chip, options) for chip in chips]
    problems: dict[str, str] = {}
    costs = costs_of({run.key: run for some in runs for run in some}, store=store, workers=workers, told=told,
                     failed=problems.__setitem__)
    designs = tuple(_design(values, chip, network, some, costs, problems)
                    for values, chip, some in zip(product(*settings.values()), chips, runs, strict=True))
    if all(design.total is None for design in designs):
        problem = next(design.problem for design in designs if design.fingerprint)
        raise MappingError(f"the network fits on none of the designs: {problem}", field=network.name)
    return Sweep(TableHeader.of(network, accelerator, options), fields, designs, dict(network.unsupported))


def _check(accelerator: Accelerator, settings: Mapping[str, Sequence[Value]], options: MappingOptions) -> None:
    if options.keeps_activations or options.prefetches_weights:
        raise TableError("expected residency and prefetch off, since with them a layer's cost depends on its neighbours")
    if not settings:
        raise TableError("expected at least one field to vary, got none")
    document = accelerator.to_document()
    for field, values in settings.items():
        if mistake := path_mistake(field, document):
            raise HardwareError(mistake)
        if not values:
            raise TableError("expected at least one value, got none", field=field)
    count = prod(len(values) for values in settings.values())
    if count > MOST_DESIGNS:
        raise TableError(f"expected at most {MOST_DESIGNS:,} designs, got {count:,}")


def _changed(accelerator: Accelerator, changes: Mapping[str, Value]) -> Accelerator | HardwareError:
    try:
        return with_changes(accelerator, changes)
    except HardwareError as error:
        return error


def _check_units(chips: Sequence[Accelerator]) -> None:
    units = sorted({chip.energy.unit for chip in chips})
    if len(units) > 1:
        raise TableError(f"expected energy tables of one unit, got {' and '.join(units)}", field="energy")


def _runs(network: Network, chip: Accelerator, options: MappingOptions) -> list[Run]:
    plan = ChipRuns(chip, options)
    return [plan.run(layer) for layer in network.layers]


def _design(values: tuple[Value, ...], chip: Accelerator | HardwareError, network: Network, runs: Sequence[Run],
            costs: Mapping[str, LayerCost], problems: Mapping[str, str]) -> Design:
    if isinstance(chip, HardwareError):
        return Design(values, problem=str(chip))
    area = estimate_area(chip)
    design = Design(values, fingerprint=chip.fingerprint, clock_hz=chip.clock_hz,
                    area_um2=area.total_um2 if area.um2 else None, area_omitted=tuple(area.omitted))
    for layer, run in zip(network.layers, runs, strict=True):
        if run.key in problems:
            return replace(design, problem=f"{layer.name}: {problems[run.key]}")
    own = [costs[run.key] for run in runs]
    return replace(design, total=NetworkCost.of(own), memory_bound_layers=sum(cost.bound == "memory" for cost in own))


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))
