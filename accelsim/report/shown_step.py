"""The compute step of a layer that a waveform or an animation shows.

>>> from accelsim import load_accelerator, load_network
>>> step = shown_step(load_accelerator("whitepaper_4x4"), load_network("mlperf_tiny_dscnn"), layer="conv1", tile=2)
>>> step.title, step.ranges_text
('mlperf_tiny_dscnn, conv1, tile 2 of 100 on whitepaper_4x4', 'g[0:1] m[0:25] n[0:16] k[16:24]')
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.precision_integers import check_integers
from accelsim.machine.stepped.layer_step import LayerStep
from accelsim.machine.stepped.model_step import model_step
from accelsim.machine.stepped.random_step import random_step
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.program import LayerProgram
from accelsim.mapping.range_pass import with_range_passes
from accelsim.simulation import Rounding, plan
from accelsim.workload.input_values import samples
from accelsim.workload.network import Network
from accelsim.workload.quantized_network import QuantizedNetwork

#: Names that a message lists, and how like one another two names are (`difflib`) of which one may be meant by the other.
_MOST_NAMES, _ALIKE = 5, 0.6


def shown_step(
    accelerator: Accelerator, network: Network | QuantizedNetwork, *, layer: str, tile: int = 0,
    options: MappingOptions | None = None, inputs: Mapping[str, NDArray[Any]] | None = None, file: str | None = None,
    sample: int = 0, rounding: Rounding = "hardware", seed: int = 0
) -> LayerStep:
    """A step of a layer's program with its integers.

    Parameters
    ----------
    layer : its name, as results and `plan` have it. tile : place among its compute steps, from 0.
    options : of the mapping; the defaults if left out.
    inputs : arrays by the model's input names; the network must be quantized and is then run up to this layer, so that the
        step has the integers that `simulate` brings there. Without them they are random, of the layer's widths.
    file : that the inputs came from, for messages.
    sample : of the inputs, from 0. rounding : whose rule, as in `simulate`. seed : of random integers.

    Raises
    ------
    WorkloadError : no such layer, tile or sample; a layer that the vector unit executes; inputs that are not the model's.
    HardwareError : a PE that multiplies floating point numbers.
    MappingError : a layer that fits nowhere on this accelerator.
    NumericsError : integers that the PEs do not multiply, or, before the step, that rule or accumulators do not take.
    """
    quantized = network if isinstance(network, QuantizedNetwork) else None
    described = network.network if isinstance(network, QuantizedNetwork) else network
    executed = with_range_passes(described, accelerator)
    names = [known.name for known in executed.layers]
    if layer not in names:
        raise WorkloadError(f'expected the name of a layer, got "{layer}" ({_near(layer, names)})', field=described.name)
    chosen = executed.layers[names.index(layer)]
    if not chosen.is_on_grid:
        raise WorkloadError(f"expected a layer on the PE grid, got one that the vector unit executes ({chosen.kind})",
                            field=layer)
    if inputs is None:
        own = _program(accelerator, described, layer, options or MappingOptions())
        return random_step(accelerator, described.name, chosen, own, tile=tile, seed=seed)
    if quantized is None:
        raise WorkloadError("expected a network with integers for a run with inputs, got shapes and widths alone",
                            field=described.name)
    given = samples(quantized, inputs, file=file)
    if not 0 <= sample < len(given):
        raise WorkloadError(f"expected sample {_range(len(given))} of the inputs, got {sample}", file=file)
    check_integers(accelerator.pe_grid.precision, {known.name: (quantized.layers[known.name].kernel, known.weight_bits)
                                                   for known in described.layers})
    program = plan(accelerator, described, options=options)
    return model_step(accelerator, program, quantized, given[sample], layer=layer, tile=tile,
                      rule=quantized.rule if rounding == "model" else accelerator.rule,
                      source=f"integers of sample {sample} of {file or 'the inputs'}")


def _program(accelerator: Accelerator, network: Network, layer: str, options: MappingOptions) -> LayerProgram:
    """The program of one layer on the PE grid; where layers share nothing, it is mapped by itself."""
    if not options.keeps_activations and not options.prefetches_weights:
        own = next(known for known in network.layers if known.name == layer)
        network = Network(network.name, (own,), outputs=(own.output.name,))
    return next(mapped for mapped in plan(accelerator, network, options=options).layers if mapped.layer == layer)


def _near(name: str, names: Sequence[str]) -> str:
    """Names of layers that may have been meant.

    >>> _near("conv", ["conv_1", "conv_2", "fc"]), _near("zzz", ["a", "b"])
    ('did you mean conv_1 or conv_2?', 'it has a and b')
    """
    likeness = {known: difflib.SequenceMatcher(None, name.lower(), known.lower()).ratio() for known in names}
    close = [known for known in sorted(names, key=lambda known: -likeness[known])
             if likeness[known] >= _ALIKE or (name and name.lower() in known.lower())]
    if close:
        return f"did you mean {_listed(close[:_MOST_NAMES], 'or')}?"
    shown = list(names[:_MOST_NAMES])
    return f"it has {_listed(shown, 'and')}" if len(shown) == len(names) else (
        f"it has {', '.join(shown)} and {len(names) - len(shown)} more")


def _listed(names: Sequence[str], word: str) -> str:
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _range(count: int) -> str:
    return f"0 to {count - 1}" if count > 1 else "0, the only one,"
