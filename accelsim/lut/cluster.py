"""Workers of dask.distributed, on this machine or on many (the extra ``cluster``)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from accelsim.errors import TableError
from accelsim.lut.layer_job import LayerJob, code_fingerprint
from accelsim.lut.workers import Outcome
from accelsim.version import __version__

#: The address that means: start a scheduler and workers here, and end them with the table.
LOCAL = "local"

#: How long a scheduler may take to answer.
_PATIENCE_SECONDS = 20


class Cluster:
    """Runs jobs on a cluster. A worker that dies loses the job that it ran; the scheduler gives it to another one.

    Every worker must have this version of accelsim: costs of another simulator would be remembered as this one's.

    Parameters
    ----------
    address : of a dask scheduler ("tcp://10.0.0.1:8786"), or "local".
    count : of processes of a local one.

    Raises
    ------
    TableError : the extra is not installed.
    """

    def __init__(self, address: str, *, count: int = 2) -> None:
        try:
            import distributed
        except ImportError:
            raise TableError("expected dask.distributed, which is not installed: pip install accelsim[cluster]",
                             field="cluster") from None
        self._distributed: Any = distributed
        self.address = address
        self.count = count

    def outcomes(self, jobs: Sequence[LayerJob]) -> Iterator[tuple[int, Outcome]]:
        """As of `Workers`.

        Raises
        ------
        TableError : no scheduler answers at the address, it has no workers, they have another accelsim, or they die again
            and again.
        """
        with ExitStack() as stack:
            client = self._client(stack)
            self._check_workers(client)
            futures = client.map(LayerJob.run, jobs, pure=False)
            places = {future.key: place for place, future in enumerate(futures)}
            stack.callback(client.cancel, futures)
            for future in self._distributed.as_completed(futures, loop=client.loop):
                try:
                    outcome = future.result()
                except (self._distributed.KilledWorker, self._distributed.client.FutureCancelledError) as error:
                    raise TableError(f"workers died again and again: {type(error).__name__}", field=self.address) from None
                yield places[future.key], outcome

    def _client(self, stack: ExitStack) -> Any:
        address: Any = self.address
        if self.address == LOCAL:
            address = stack.enter_context(self._distributed.LocalCluster(
                n_workers=self.count, threads_per_worker=1, processes=True, host="127.0.0.1",
                scheduler_kwargs={"dashboard": False}, silence_logs=logging.CRITICAL))
        try:
            return stack.enter_context(self._distributed.Client(address, timeout=_PATIENCE_SECONDS, set_as_default=False))
        except (OSError, ValueError) as error:
            raise TableError(f"expected a dask scheduler there, got: {str(error) or type(error).__name__}",
                             field=self.address) from None

    def _check_workers(self, client: Any) -> None:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE_SECONDS)
        except TimeoutError:
            raise TableError("expected a dask scheduler with at least one worker, got none", field=self.address) from None
        own = (__version__, code_fingerprint())
        for worker, found in client.run(_installed, on_error="return").items():
            if isinstance(found, BaseException):
                raise TableError(f"expected accelsim {__version__} on the worker {worker}, got: {found}", field=self.address)
            if found != own:
                raise TableError(f"expected this source of accelsim {__version__} on the worker {worker}, got another one "
                                 f"of {found[0]}", field=self.address)


def _installed() -> tuple[str, str]:
    """What a worker has."""
    return __version__, code_fingerprint()
