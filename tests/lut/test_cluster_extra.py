"""Without the extra the rest of the room works, and a cluster is refused in one line."""

import sys

import pytest

from accelsim.errors import TableError
from accelsim.lut.cluster import Cluster


def test_a_cluster_without_its_extra_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(TableError) as caught:
        Cluster("local")
    assert str(caught.value) == ("cluster: expected dask.distributed, which is not installed: "
                                 "pip install accelsim[cluster]")
