"""The options of commands that run many layers: where runs are remembered, and who makes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.output import print_remark
from accelsim.errors import AccelsimError

if TYPE_CHECKING:
    from accelsim.lut.store import Store
    from accelsim.lut.workers import Workers

#: The store that is none.
NO_STORE = "none"

WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, metavar="N", help="Processes that simulate; left out, one a processor.",
                 show_default=False),
]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", metavar="ADDRESS|local", help="Simulate on a dask cluster (the extra cluster).",
                 show_default=False),
]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="FILE|none", help="Where runs are remembered; left out, in the user's cache.",
                 show_default=False),
]


@contextmanager
def opened_store(place: str | None) -> Iterator[Store | None]:
    """The store that the option names, closed afterwards; a damaged one is told."""
    if place == NO_STORE:
        yield None
        return
    from accelsim.lut.store import Store, default_store_path

    if place == "":
        raise AccelsimError("expected a file or none, got an empty name", field="--store")
    with Store(default_store_path() if place is None else Path(place), print_remark) as store:
        yield store


def workers_of(count: int | None, cluster: str | None) -> int | Workers:
    """Who runs the layers."""
    number = count or _processors()
    if cluster is None:
        return number
    from accelsim.lut.cluster import Cluster

    return Cluster(cluster, count=number)


def _processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
