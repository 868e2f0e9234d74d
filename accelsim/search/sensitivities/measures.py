"""The measures of sensitivity by the names that the command line knows, and their sums as terms of a problem."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from accelsim.errors import SearchError
from accelsim.search.problem import CostTerm
from accelsim.search.sensitivities.fisher import fisher_information
from accelsim.search.sensitivities.measurement import Measurement, WidthCosts
from accelsim.search.sensitivities.output_change import accuracy_drop, loss_rise, output_divergence
from accelsim.search.sensitivities.quantization_error import mean_squared_error, noise_to_signal
from accelsim.search.space import SearchSpace

#: Measures that need nothing but the network and samples. `hessian` (with a file of traces) and files are besides.
MEASURES: Mapping[str, Callable[[Measurement], WidthCosts]] = {
    "mse": mean_squared_error, "sqnr": noise_to_signal, "kl": output_divergence, "loss": loss_rise,
    "accuracy": accuracy_drop, "fisher": fisher_information}


def sensitivity_terms(space: SearchSpace, costs: WidthCosts) -> tuple[CostTerm, ...]:
    """One term for each operand, over the variable that decides on it.

    Raises
    ------
    SearchError : NaN or infinity; an operand or a width that is missing.
    """
    terms = []
    for operand in space.free_operands:
        values = []
        for bits in space.widths_of(operand):
            value = costs.get(operand, {}).get(bits)
            if value is None or not math.isfinite(value):
                found = "none" if value is None else str(value)
                raise SearchError(f"expected a finite sensitivity at {bits} bits, got {found}", field=str(operand))
            values.append(value)
        terms.append(CostTerm.of(str(operand), [space.variable_of[operand]], values))
    return tuple(terms)
