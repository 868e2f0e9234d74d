"""Tensors: sizes, and what they refuse."""

from __future__ import annotations

import pytest

from accelsim.errors import WorkloadError
from accelsim.workload import Tensor


@pytest.mark.parametrize(("shape", "bits", "size"), [((), 8, 1), ((3,), 4, 2), ((5, 7), 3, 14), ((2, 3), 32, 24)])
def test_bytes_are_packed_and_rounded_up_once(shape: tuple[int, ...], bits: int, size: int) -> None:
    assert Tensor("x", shape, bits).bytes == size


@pytest.mark.parametrize(("shape", "bits", "expected"), [
    ((2, 0), 8, "x: expected dimensions of at least 1, got [2, 0]"),
    ((2, -1), 8, "x: expected dimensions of at least 1, got [2, -1]"),
    ((2**40, 2**40), 8, "x: expected at most 2^62 elements, got the shape [1099511627776, 1099511627776]"),
    ((2,), 0, "x: expected 1 to 64 bits, got 0"),
    ((2,), 65, "x: expected 1 to 64 bits, got 65"),
])
def test_impossible_tensors_are_refused(shape: tuple[int, ...], bits: int, expected: str) -> None:
    with pytest.raises(WorkloadError) as error:
        Tensor("x", shape, bits)
    assert str(error.value) == expected
