"""Widths, ranges, saturation."""

import numpy as np
import pytest

from accelsim.errors import NumericsError
from accelsim.numerics.qtype import QType


@pytest.mark.parametrize("bits", range(1, 33))
@pytest.mark.parametrize("is_signed", [True, False])
def test_a_type_of_b_bits_has_2_to_the_b_values_in_its_smallest_container(bits, is_signed):
    qtype = QType(bits, is_signed)
    assert qtype.max - qtype.min + 1 == 2**bits
    assert qtype.min == (-(2 ** (bits - 1)) if is_signed else 0)
    container = np.iinfo(qtype.dtype)
    assert container.min <= qtype.min <= qtype.max <= container.max
    assert container.bits == 8 or container.bits < 2 * bits


@pytest.mark.parametrize("bits", range(2, 33))
def test_a_restricted_type_is_symmetric(bits):
    qtype = QType(bits, True, is_restricted=True)
    assert -qtype.min == qtype.max == 2 ** (bits - 1) - 1


def test_clamping_saturates_every_container_and_python_integers():
    qtype = QType(3, True)
    for dtype in (np.int8, np.uint8, np.int16, np.uint32, np.int64, np.uint64):
        info = np.iinfo(dtype)
        expected = [max(-4, min(3, value)) for value in (info.min, 0, 3, 4, info.max)]
        assert qtype.clamp(np.array([info.min, 0, 3, 4, info.max], dtype=dtype)).tolist() == expected
    assert QType(32, False).clamp([-1, 2**32 - 1, 2**99]).tolist() == [0, 2**32 - 1, 2**32 - 1]
    assert QType(32, True).clamp([-(2**99), 2**31]).tolist() == [-(2**31), 2**31 - 1]


def test_holds_is_true_exactly_inside_the_range():
    qtype = QType(8, True, is_restricted=True)
    assert qtype.holds([-127, 127])
    assert not qtype.holds([-128])
    assert not qtype.holds(np.array([2**63 + 5], dtype=np.uint64))
    assert qtype.holds(np.zeros((0, 3), dtype=np.int64))


@pytest.mark.parametrize(("arguments", "message"), [
    ((0, True), "bits: expected a width of 1 to 32 bits, got 0"),
    ((33, True), "bits: expected a width of 1 to 32 bits, got 33"),
    ((8.0, True), "bits: expected a width of 1 to 32 bits, got 8.0"),
    ((8, False, True), "is_restricted: expected a signed type of at least 2 bits for a restricted range, got unsigned"),
    ((1, True, True), "is_restricted: expected a signed type of at least 2 bits for a restricted range, got 1 bit signed"),
])
def test_impossible_types_are_refused(arguments, message):
    with pytest.raises(NumericsError) as caught:
        QType(*arguments)
    assert str(caught.value) == message
