"""The integers of QUANTIZE between integers and of standalone ReLUs are LiteRT's reference kernels', on every value."""

import litert_models as models
import numpy as np
import pytest
import random_grids as grids
from litert_models import schema

from accelsim.numerics.kernels.rescaling import RescalingKernel
from accelsim.numerics.rule import Rule

TYPES = [grids.INT8, grids.UINT8, grids.INT16]
RULE = Rule("litert_reference")

# All that LiteRT has.
PAIRS = [(source, target) for source in TYPES for target in TYPES if {source, target} != {grids.UINT8, grids.INT16}]
RELUS = [("RELU", qtype, 0, None) for qtype in TYPES] + [
    (operator, qtype, low, high) for operator, low, high in (("RELU6", 0, 6), ("RELU_N1_TO_1", -1, 1))
    for qtype in TYPES[:2]]


def grid_of(rng, qtype, trial):
    return grids.random_grid(rng, qtype, is_decimal=trial % 2 == 1, zero_point=0 if qtype.bits == 16 else None)


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=lambda qtype: qtype.name)
def test_quantize_gives_the_same_integers(source, target):
    rng = np.random.default_rng(1)
    values = grids.all_values(source)
    for trial in range(30):
        x, y = grid_of(rng, source, trial), grid_of(rng, target, trial)
        model = models.single_operator(
            schema.BuiltinOperator.QUANTIZE, schema.QuantizeOptionsT(), schema.BuiltinOptions.QuantizeOptions,
            [models.on_grid("x", values.shape, x)], [models.on_grid("y", values.shape, y)], version=2)
        ours = RescalingKernel(x, y, target.min, target.max).run([values], RULE)
        assert np.array_equal(ours, models.run_reference(model, [values])[0])


@pytest.mark.parametrize(("operator", "qtype", "low", "high"), RELUS, ids=str)
def test_relus_give_the_same_integers_with_float32_quotients(operator, qtype, low, high):
    rng = np.random.default_rng(2)
    values = grids.all_values(qtype)
    doubles_differ = False
    for trial in range(60):
        x, y = grid_of(rng, qtype, trial), grid_of(rng, qtype, trial)
        model = models.single_operator(
            getattr(schema.BuiltinOperator, operator), None, 0, [models.on_grid("x", values.shape, x)],
            [models.on_grid("y", values.shape, y)], version=1 if operator == "RELU_N1_TO_1" else 2)
        theirs = models.run_reference(model, [values])[0]
        bounds = [edge if real is None else int(np.clip(quantized(real, y), qtype.min, qtype.max))
                  for real, edge in ((low, qtype.min), (high, qtype.max))]
        assert np.array_equal(RescalingKernel(x, y, *bounds, arithmetic="float32").run([values], RULE), theirs)
        doubles_differ |= bool(np.any(RescalingKernel(x, y, *bounds).run([values], RULE) != theirs))
    assert doubles_differ


def quantized(real, grid):
    quotient = np.float32(real) / np.float32(grid.scale)
    return int(np.sign(quotient) * np.floor(np.abs(quotient) + 0.5)) + int(grid.zero_point)
