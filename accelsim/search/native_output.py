"""Keeps what compiled code prints away from standard output, which belongs to results."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STDOUT = 1


@contextmanager
def silenced() -> Iterator[None]:
    """Inside, file descriptor 1 leads nowhere; HiGHS prints there whatever its options say.

    What C's own buffer holds is written before and after, so that nothing strays over the border.
    """
    sys.stdout.flush()
    try:
        kept = os.dup(_STDOUT)
    except OSError:  # there is no standard output
        yield
        return
    flush = ctypes.CDLL(None).fflush
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        flush(None)
        os.dup2(nowhere, _STDOUT)
        yield
    finally:
        flush(None)
        os.dup2(kept, _STDOUT)
        os.close(kept)
        os.close(nowhere)
