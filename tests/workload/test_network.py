"""Networks: joined by tensors, in order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accelsim.errors import WorkloadError
from accelsim.workload import Activation, Layer, MatMul, Network, Tensor

X, Y, Z = (Tensor(name, (2, 8), 8) for name in "xyz")
W = Tensor("w", (8, 8), 4, is_constant=True)
FIRST = Layer("first", MatMul(m=2, k=8, n=8), (X,), Y, weights=W)
SECOND = Layer("second", Activation("tanh", (2, 8)), (Y,), Z)


def test_network_adds_up_its_layers_and_knows_who_reads_what() -> None:
    network = Network("n", (FIRST, SECOND))
    assert (network.macs, network.weight_bytes, network.consumers) == (128, 32, {"x": ("first",), "y": ("second",)})


def test_fingerprint_follows_what_timing_depends_on() -> None:
    network = Network("n", (FIRST, SECOND))
    assert network.fingerprint == Network("other name", (FIRST, SECOND)).fingerprint
    wider = replace(FIRST, weights=replace(W, bits=8))
    assert network.fingerprint != Network("n", (wider, SECOND)).fingerprint


@pytest.mark.parametrize(("layers", "expected"), [
    ((), "n: expected at least one layer, got none"),
    ((FIRST, replace(SECOND, name="first")), "first: expected unique layer names, got 2 layers of this name"),
    ((SECOND, FIRST), "first: y is read before it is written"),
    ((FIRST, replace(SECOND, output=Y)), "second: two layers write the tensor y"),
    ((FIRST, replace(SECOND, inputs=(replace(Y, bits=4),))),
     "second: reads y as [2, 8] of 4 bits, but it is [2, 8] of 8 bits"),
])
def test_layers_that_are_no_network_are_refused(layers: tuple[Layer, ...], expected: str) -> None:
    with pytest.raises(WorkloadError) as error:
        Network("n", layers)
    assert str(error.value) == expected
