"""PRELU: LiteRT's and onnxruntime's integers, the shift rules' formula, refusals."""

import numpy as np
import onnx_operators as operators
import pytest
import random_grids as grids
import slow_rules as slow

from accelsim.errors import NumericsError
from accelsim.numerics.kernels.prelu import PreluKernel
from accelsim.numerics.qtype import QType
from accelsim.numerics.rule import Rule

EIGHT_BITS = pytest.mark.parametrize("qtype", [grids.INT8, grids.UINT8], ids=lambda qtype: qtype.name)


@EIGHT_BITS
def test_every_value_and_slope_gives_litert_s_integer(qtype):
    pytest.importorskip("ai_edge_litert", reason="needs ai_edge_litert, to ask LiteRT itself")
    import litert_models as models

    rng = np.random.default_rng(1)
    values = grids.all_values(qtype)
    x, slopes = values.T.copy(), values[0]
    for trial in range(20):
        grid, slope, y = (grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1) for _ in range(3))
        image = np.broadcast_to(x, (256, 256)).copy()
        model = models.single_operator(
            models.schema.BuiltinOperator.PRELU, None, 0,
            [models.on_grid("x", image.shape, grid), models.on_grid("slopes", slopes.shape, slope, slopes)],
            [models.on_grid("y", image.shape, y)])
        ours = PreluKernel(grid, slope, y, slopes).run([image], Rule("litert_reference"))
        assert np.array_equal(ours, models.run_reference(model, [image])[0])


@EIGHT_BITS
def test_every_value_and_slope_gives_onnxruntimes_integer(qtype):
    rng = np.random.default_rng(2)
    values = grids.all_values(qtype)
    image, slopes = np.broadcast_to(values.T, (256, 256)).copy(), values[0]
    for trial in range(20):
        grid, slope, y = (grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1) for _ in range(3))
        ours = PreluKernel(grid, slope, y, slopes).run([image], Rule("float32_nearest_even"))
        theirs = operators.run_between_roundings("PRelu", [(image, grid), (slopes, slope)], y, held=(1,))
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("qtype", [QType(4, True), QType(6, False), QType(12, True)], ids=lambda qtype: qtype.name)
@pytest.mark.parametrize("scheme", ["dyadic", "shift_floor"])
def test_a_shift_rule_requantizes_the_exact_product(qtype, scheme):
    rng = np.random.default_rng(3)
    grid, slope, y = (grids.random_grid(rng, qtype) for _ in range(3))
    x, slopes = grids.random_values(rng, qtype, (5, 8)), grids.random_values(rng, qtype, (8,))
    found = PreluKernel(grid, slope, y, slopes).run([x], slow.SHIFT_RULES[scheme])
    for place in np.ndindex(5, 8):
        value, factor = int(x[place]) - int(grid.zero_point), int(slopes[place[1]]) - int(slope.zero_point)
        product = float(grid.scale) * float(slope.scale)
        flat = (slow.single(product) if scheme == "dyadic" else product) / float(y.scale)
        moved = (slow.shifted(scheme, value, float(grid.scale) / float(y.scale)) if value >= 0
                 else slow.shifted(scheme, value * factor, flat))
        assert found[place] == slow.clamp(moved + int(y.zero_point), qtype.min, qtype.max)


def test_slopes_outside_their_type_are_refused():
    grid = grids.random_grid(np.random.default_rng(4), grids.INT8)
    with pytest.raises(NumericsError) as error:
        PreluKernel(grid, grid, grid, np.array([1, 300]))
    assert str(error.value) == "constants: expected -128..127 (int8), got 1..300"
