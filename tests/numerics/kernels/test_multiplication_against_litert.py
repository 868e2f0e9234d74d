"""The integers of MUL are LiteRT's reference kernels', on all pairs of 8-bit values and on random 16-bit ones."""

import litert_models as models
import numpy as np
import pytest
import random_grids as grids
from litert_models import schema

from accelsim.numerics.kernels.multiplication import MultiplicationKernel
from accelsim.numerics.rule import Rule


def both(inputs, output, values, *, held=()):
    kernel = MultiplicationKernel(inputs, output, output.qtype.min, output.qtype.max,
                                  {place: values[place] for place in held})
    given = [array for place, array in enumerate(values) if place not in held]
    specs = [models.on_grid(f"x{place}", array.shape, grid, array if place in held else None)
             for place, (array, grid) in enumerate(zip(values, inputs, strict=True))]
    shape = np.broadcast_shapes(*(array.shape for array in values))
    model = models.single_operator(
        schema.BuiltinOperator.MUL, schema.MulOptionsT(), schema.BuiltinOptions.MulOptions, specs,
        [models.on_grid("y", shape, output)], version=4 if output.qtype.bits == 16 else 2)
    return kernel.run(given, Rule("litert_reference")), models.run_reference(model, given)[0]


@pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)
@pytest.mark.parametrize("is_decimal", [False, True])
def test_every_pair_of_8_bit_values_gives_the_same_integer(qtype, is_decimal):
    rng = np.random.default_rng(1)
    for _ in range(8):
        a, b, y = (grids.random_grid(rng, qtype, is_decimal=is_decimal) for _ in range(3))
        ours, theirs = both((a, b), y, grids.all_pairs(qtype))
        assert np.array_equal(ours, theirs)


def test_random_16_bit_values_give_the_same_integers():
    rng = np.random.default_rng(2)
    for _ in range(6):
        a, b = (grids.random_grid(rng, grids.INT16, high=0.01, zero_point=0) for _ in range(2))
        y = grids.random_grid(rng, grids.INT16, low=0.01, high=1.0, zero_point=0)
        ours, theirs = both((a, b), y, [grids.random_values(rng, grids.INT16, (1, 100_000)) for _ in range(2)])
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("held", [(), (1,)])
def test_a_factor_per_channel_broadcasts(held):
    rng = np.random.default_rng(3)
    a, b, y = (grids.random_grid(rng, grids.INT8) for _ in range(3))
    values = [grids.random_values(rng, grids.INT8, shape) for shape in ((2, 5, 6, 3), (1, 1, 1, 3))]
    ours, theirs = both((a, b), y, values, held=held)
    assert np.array_equal(ours, theirs)
