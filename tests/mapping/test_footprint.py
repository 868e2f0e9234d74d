"""Bytes and runs of tiles against sets of addresses written out element by element."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.mapping.footprint import Positions, input_footprint, output_footprint
from accelsim.mapping.lowering import GemmWork
from accelsim.numerics.axis import Axis


@st.composite
def convolutions(draw):
    def axis():
        kernel, stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
        upsampling = draw(st.sampled_from((1, 1, 2)))
        if upsampling > 1:
            stride = 1
        pad, out = draw(st.integers(0, 2)), draw(st.integers(1, 5))
        needed = (out - 1) * stride + (kernel - 1) * dilation + 1 - 2 * pad
        in_size = max(1, -(-needed // upsampling)) + draw(st.integers(0, 1))
        return Axis(in_size, out, kernel, stride, dilation, pad, upsampling)

    return GemmWork(groups=draw(st.integers(1, 3)), images=draw(st.integers(1, 3)), rows=axis(), columns=axis(),
                    channels=draw(st.integers(1, 4)), n=draw(st.integers(1, 4)), has_channel_groups=True,
                    weight_bits=8, input_bits=8, output_bits=8)


def addresses(work, positions, groups, k_range):
    """Every input element that a tile multiplies with, as (image, row, column, channel)."""
    found = set()
    for i in range(*positions.images):
        for p in range(*positions.rows):
            for q in range(*positions.columns):
                for k in range(*k_range):
                    position, c = divmod(k, work.channels)
                    r, s = divmod(position, work.columns.kernel)
                    place = []
                    for axis, out, tap in ((work.rows, p, r), (work.columns, q, s)):
                        stretched = out * axis.stride + tap * axis.dilation - axis.pad
                        real = stretched // axis.upsampling
                        if stretched % axis.upsampling == 0 and 0 <= real < axis.in_size:
                            place.append(real)
                    if len(place) == 2:
                        found |= {(i, *place, g * work.channels + c) for g in range(groups)}
    return found


def hull(work, found):
    """What a DMA with strides fetches: all combinations of the rows, columns and channels that occur."""
    if not found:
        return found
    images, rows, columns, channels = ({element[axis] for element in found} for axis in range(4))
    return {(i, h, w, c) for i in images for h in rows for w in columns for c in channels}


def flat(work, element):
    i, h, w, c = element
    return ((i * work.rows.in_size + h) * work.columns.in_size + w) * work.groups * work.channels + c


@settings(max_examples=400, deadline=None)
@given(convolutions(), st.data())
def test_input_bytes_are_the_real_bytes_with_halo_and_runs_are_contiguous_addresses(work, data):
    def part(size):
        first = data.draw(st.integers(0, size - 1))
        return first, data.draw(st.integers(first + 1, size))

    images, rows, columns = part(work.images), part(work.rows.out_size), part(work.columns.out_size)
    if (rows, columns) != ((0, work.rows.out_size), (0, work.columns.out_size)):
        images = (images[0], images[0] + 1)
    k_range = part(work.k)
    groups = data.draw(st.integers(1, work.groups)) if k_range == (0, work.k) else 1
    positions = Positions(images, rows, columns)
    footprint = input_footprint(work, positions, groups=groups, k_first=k_range[0], k_last=k_range[1])
    found = hull(work, addresses(work, positions, groups, k_range))
    if not found:  # only padding: an address all the same
        return
    places = sorted(flat(work, element) for element in found)
    runs = 1 + sum(b != a + 1 for a, b in pairwise(places))
    assert footprint.bytes >= len(found)
    if taps_are_a_rectangle(work, *k_range):
        assert footprint.bytes == len(found)
        assert footprint.runs >= runs  # a descriptor may cut a run where addresses happen to touch, never join two


@settings(max_examples=200, deadline=None)
@given(convolutions(), st.data())
def test_output_bytes_and_runs_are_those_of_the_addresses_of_a_block(work, data):
    def part(size):
        first = data.draw(st.integers(0, size - 1))
        return first, data.draw(st.integers(first + 1, size))

    rows, columns, image = part(work.rows.out_size), part(work.columns.out_size), data.draw(st.integers(0, work.images - 1))
    positions = Positions((image, image + 1), rows, columns)
    channels = work.groups * work.n
    found = sorted((((image * work.rows.out_size + p) * work.columns.out_size) + q) * channels + c
                   for p in range(*rows) for q in range(*columns) for c in range(channels))
    footprint = output_footprint(work, positions=positions.count, groups=work.groups, n=work.n, runs=positions.runs(work))
    assert footprint.bytes == len(found)
    assert footprint.runs == 1 + sum(b != a + 1 for a, b in pairwise(found))
    narrow = output_footprint(work, positions=positions.count, groups=1, n=1, runs=positions.runs(work))
    assert (narrow.bytes, narrow.runs) == (positions.count, 1 if channels == 1 and footprint.runs == 1 else narrow.runs)


def taps_are_a_rectangle(work, k_first, k_last):
    """Whether the K range is a part of one position, or whole positions of one kernel row, or whole kernel rows."""
    channels, width = work.channels, work.columns.kernel
    if k_first // channels == (k_last - 1) // channels:
        return True
    if k_first % channels or k_last % channels:
        return False
    first, last = k_first // channels, k_last // channels
    return first // width == (last - 1) // width or (first % width == 0 and last % width == 0)


def test_the_whole_input_of_a_convolution_is_loaded_as_one_run_of_its_own_size():
    work = GemmWork(groups=1, images=2, rows=Axis(224, 112, 7, 2, 1, 3), columns=Axis(224, 112, 7, 2, 1, 3), channels=3,
                    n=64, has_channel_groups=True, weight_bits=8, input_bits=8, output_bits=8)
    footprint = input_footprint(work, Positions((0, 2), (0, 112), (0, 112)), groups=1, k_first=0, k_last=work.k)
    assert (footprint.runs, footprint.run_bytes) == (1, 2 * 224 * 224 * 3)


def test_four_bit_activations_take_half_the_bytes():
    def bytes_at(bits):
        work = GemmWork(groups=1, images=1, rows=Axis(8, 8), columns=Axis(8, 8), channels=16, n=4, has_channel_groups=True,
                        weight_bits=8, input_bits=bits, output_bits=bits)
        positions = Positions((0, 1), (0, 4), (0, 8))
        return (input_footprint(work, positions, groups=1, k_first=0, k_last=16).bytes,
                output_footprint(work, positions=32, groups=1, n=4).bytes)

    assert bytes_at(8) == (4 * 8 * 16, 32 * 4)
    assert bytes_at(4) == (4 * 8 * 16 // 2, 32 * 4 // 2)
