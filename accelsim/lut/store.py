"""Runs that were made before: an sqlite file in the user's cache, so that a layer is run once in its life."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType

from accelsim.errors import TableError
from accelsim.lut.layer_cost import LayerCost

#: Told of what befell the file, in one line.
Remark = Callable[[str], None]

#: How long a writer waits for another one; a row takes less than a millisecond.
_PATIENCE_SECONDS = 60.0

#: sqlite takes 999 variables in a statement at least.
_VARIABLES = 500

_FIELDS = frozenset(field.name for field in fields(LayerCost))


def default_store_path() -> Path:
    """Where the user's cache is: ``ACCELSIM_CACHE``, or what the system calls its cache."""
    own = os.environ.get("ACCELSIM_CACHE")
    if own:
        return Path(own) / "runs.sqlite"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "accelsim" / "runs.sqlite"


class Store:
    """Costs by the key of their run (`accelsim.lut.layer_job.run_key`).

    Every row is written as soon as its run is over, in a transaction of its own and with a write-ahead log: a process that
    is killed loses the run in flight and nothing else, and two builds at once only wait for each other's rows. A file that
    is damaged is set aside under another name, its readable rows are taken over, and what is missing is run again.

    Parameters
    ----------
    path : of the file; it and its folder are made where they are missing.
    told : of a damaged file.

    Raises
    ------
    TableError : a file that cannot be opened or made here.

    Examples
    --------
    >>> import tempfile
    >>> cost = LayerCost(cycles=3, energy_pj=0.5, dram_bytes=2, weight_bytes=1, buffer_peak_bytes=8, bound="memory")
    >>> with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "runs.sqlite") as store:
    ...     store.put({"a": cost})
    ...     store.get(["a", "b"]) == {"a": cost}
    True
    """

    def __init__(self, path: Path, told: Remark | None = None) -> None:
        self.path = path
        self._told = told or (lambda text: None)
        self._connection: sqlite3.Connection | None = None
        with self._repairing():
            self._open()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def get(self, keys: Iterable[str]) -> dict[str, LayerCost]:
        """The costs that are known of these keys."""
        wanted = list(dict.fromkeys(keys))
        for _ in range(2):
            with self._repairing():
                return {key: cost for key, text in self._texts(wanted) if (cost := _parsed(text)) is not None}
        return {}

    def put(self, costs: Mapping[str, LayerCost]) -> None:
        """Remember costs, all of them or none."""
        rows = [(key, json.dumps(asdict(cost))) for key, cost in costs.items()]
        for _ in range(2):
            with self._repairing():
                with self._database as database:
                    database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?)", rows)
                return

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM runs").fetchone()[0])

    @property
    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            self._open()
        assert self._connection is not None
        return self._connection

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(self.path, timeout=_PATIENCE_SECONDS)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # With a write-ahead log NORMAL survives the death of a process; only a crash of the machine may cost the last rows.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._connection as database:
            database.execute("CREATE TABLE IF NOT EXISTS runs (key TEXT PRIMARY KEY, cost TEXT NOT NULL) WITHOUT ROWID")
        self._connection.execute("SELECT key, cost FROM runs LIMIT 1").fetchall()

    def _texts(self, keys: list[str]) -> Iterator[tuple[str, str]]:
        for first in range(0, len(keys), _VARIABLES):
            some = keys[first:first + _VARIABLES]
            places = ",".join("?" * len(some))
            yield from self._database.execute(f"SELECT key, cost FROM runs WHERE key IN ({places})", some)

    @contextmanager
    def _repairing(self) -> Iterator[None]:
        """Sets a damaged file aside and goes on with a new one; what the block did is over."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            self.close()
            if isinstance(error, sqlite3.OperationalError) and "no such" not in str(error):  # locked, read-only, no room
                raise TableError(f"the store of runs cannot be used: {error}", file=str(self.path)) from None
            if not self._is_sound():  # another process may have made a new file meanwhile
                self._set_aside()
        except OSError as error:
            raise TableError(f"the store of runs cannot be made: {error.strerror}", file=str(self.path)) from None

    def _is_sound(self) -> bool:
        try:
            self._open()
            return bool(self._database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
        except sqlite3.Error:
            return False
        finally:
            self.close()

    def _set_aside(self) -> None:
        aside = _free_name(self.path)
        try:
            os.rename(self.path, aside)
        except FileNotFoundError:  # another process was faster
            return
        except OSError as error:
            raise TableError(f"the store of runs is damaged and cannot be set aside: {error.strerror}",
                             file=str(self.path)) from None
        for suffix in ("-wal", "-shm"):
            with suppress(OSError):
                os.unlink(f"{self.path}{suffix}")
        self._open()
        rows = _readable(aside)
        with self._database as database:
            database.executemany("INSERT OR IGNORE INTO runs VALUES (?, ?)", rows)
        self._told(f"{self.path}: the store of runs was damaged; it is kept as {aside.name}, {len(rows)} of its runs were "
                   "taken over, the others are made again")


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged{number}")).exists():
        number += 1
    return aside


def _readable(path: Path) -> list[tuple[str, str]]:
    """The rows of a damaged file up to the damage."""
    rows: list[tuple[str, str]] = []
    with suppress(sqlite3.Error):
        connection = sqlite3.connect(f"file:{path.as_posix()}?mode=ro", uri=True)
        try:
            for key, text in connection.execute("SELECT key, cost FROM runs"):
                if isinstance(key, str) and _parsed(text) is not None:
                    rows.append((key, text))
        finally:
            connection.close()
    return rows


def _parsed(text: object) -> LayerCost | None:
    """The cost that a row holds; None for a row that is not whole, which is then run again."""
    try:
        values = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return LayerCost(**values) if isinstance(values, dict) and values.keys() == _FIELDS else None
