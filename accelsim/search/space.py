"""The search space of a network: which widths are one decision, and what each layer reads and writes.

A decision is the width of

- a layer's constant weights;
- an activation: all tensors that share a grid (`accelsim.quantization.placement`), and all that a layer of the vector unit
  reads at once, such as the summands of a residual addition, since such a layer has one width of inputs;
- a layer's accumulators, where these are open.

Decisions that are tied are one variable; its choices are those that all of them have. What a layer writes is what its
readers read: no width is counted twice, and each layer's costs stand over the variables of its weights, its input and its
output.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from accelsim.errors import SearchError
from accelsim.lut.assignment import uniform
from accelsim.lut.operand_bits import OperandBits
from accelsim.problem import did_you_mean, quoted
from accelsim.quantization.bit_policy import ActivationRule, BitPolicy, LayerRule, WeightRule
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.placement import Placement
from accelsim.search.operand import Operand
from accelsim.search.problem import Variable
from accelsim.search.space_options import SpaceOptions
from accelsim.search.tensor_groups import TensorGroups
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network

#: What a width that nothing decides on stands at: that of the uniform network which `0.7x` is relative to.
UNIFORM_BITS = 8


@dataclass(frozen=True)
class LayerOperands:
    """The operands of one layer whose widths are decided on; None where the layer has none, or one of a width of its own.

    Parameters
    ----------
    weights : constant weights, or the second activation of a matrix product of two.
    inputs, output : activations.
    accumulators : where these are open.
    """

    weights: Operand | None
    inputs: Operand | None
    output: Operand | None
    accumulators: Operand | None = None


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """All decisions of one network.

    Parameters
    ----------
    network : with 8 bits everywhere.
    layers : the operands of each layer.
    variable_of : operand -> the variable that decides on it.
    variables : in the order in which the network meets them.
    written : group of activations -> the layers (or inputs of the network) whose rules in a `BitPolicy` decide on it.
    """

    network: Network
    layers: Mapping[str, LayerOperands]
    variable_of: Mapping[Operand, str]
    variables: tuple[Variable, ...]
    written: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, model: FloatModel, placement: Placement, options: SpaceOptions | None = None) -> SearchSpace:
        """The space of a network whose batch normalizations are folded, and of its quantizers (`place`).

        Raises
        ------
        SearchError : fixed or tied names that the network does not have, ties of widths that have no choice in common.
        """
        from accelsim.search.space_building import SpaceBuilding

        groups = TensorGroups.placed(model, placement)
        weighted = [layer.name for layer in model.layers]
        return SpaceBuilding(uniform_network(model), weighted, groups, options or SpaceOptions()).space()

    @classmethod
    def of_network(cls, network: Network, options: SpaceOptions | None = None) -> SearchSpace:
        """The space of layers without weights, such as a layer list's: for costs alone.

        Raises
        ------
        SearchError : as `of`.

        Examples
        --------
        >>> from accelsim.workload.load import load_network
        >>> space = SearchSpace.of_network(load_network("mlperf_tiny_autoencoder"))
        >>> len(space.layers), space.variables[2]
        (10, Variable(name='encode1 activations', choices=(2, 4, 8)))
        """
        from accelsim.search.space_building import SpaceBuilding

        uniform_layers = uniform(network, weight_bits=UNIFORM_BITS, activation_bits=UNIFORM_BITS)
        weighted = [layer.name for layer in network.layers if layer.is_on_grid and layer.weights is not None]
        return SpaceBuilding(uniform_layers, weighted, TensorGroups.of_layers(network), options or SpaceOptions()).space()

    @cached_property
    def choices(self) -> dict[str, tuple[int, ...]]:
        """Widths by variable."""
        return {variable.name: variable.choices for variable in self.variables}

    def widths_of(self, operand: Operand) -> tuple[int, ...]:
        """What an operand may be."""
        return self.choices[self.variable_of[operand]]

    @property
    def free_operands(self) -> list[Operand]:
        """Weights and activations with more than one choice, in the order of the network."""
        return [operand for operand in self.variable_of
                if operand.kind != "accumulators" and len(self.widths_of(operand)) > 1]

    def widths(self, kind: str) -> tuple[int, ...]:
        """All widths that some operand of a kind may have, and 8."""
        found = {bits for operand in self.variable_of if operand.kind == kind for bits in self.widths_of(operand)}
        return tuple(sorted(found | ({UNIFORM_BITS} if kind != "accumulators" else set())))

    def bits_of(self, operand: Operand | None, assignment: Mapping[str, int]) -> int | None:
        """The width that an assignment of variables gives an operand."""
        return None if operand is None else assignment[self.variable_of[operand]]

    def layer_bits(self, name: str, assignment: Mapping[str, int]) -> OperandBits:
        """The widths of a layer's operands."""
        layer, operands = self._layers[name], self.layers[name]
        weights = self.bits_of(operands.weights, assignment)
        inputs, output = (self.bits_of(operand, assignment) for operand in (operands.inputs, operands.output))
        return OperandBits(
            (weights or UNIFORM_BITS) if layer.is_on_grid else None,
            inputs or layer.input_bits, output or layer.output.bits, self.bits_of(operands.accumulators, assignment))

    def bits(self, assignment: Mapping[str, int]) -> dict[str, OperandBits]:
        """The widths of all layers, as a latency table and `accelsim.lut.assignment.assigned` take them."""
        return {name: self.layer_bits(name, assignment) for name in self.layers}

    @cached_property
    def _layers(self) -> dict[str, Layer]:
        return {layer.name: layer for layer in self.network.layers}

    def uniform(self, bits: int) -> dict[str, int]:
        """The assignment with one width; fixed ones, and those that do not have it, take the nearest of theirs."""
        return {variable.name: min(variable.choices, key=lambda choice: (abs(choice - bits), choice))
                for variable in self.variables}

    def policy(self, assignment: Mapping[str, int], base: BitPolicy, *, name: str) -> BitPolicy:
        """A policy with these widths: the base with a rule for each layer."""
        rules: dict[tuple[str, ...], LayerRule] = {}
        for operand in self.variable_of:
            bits = self.bits_of(operand, assignment)
            if operand.kind == "accumulators":
                continue
            layers = (operand.name,) if operand.kind == "weights" else self.written[operand.name]
            said = {"weights": WeightRule(bits=bits)} if operand.kind == "weights" else {
                "activations": ActivationRule(bits=bits)}
            rules[layers] = rules.get(layers, LayerRule(layers=layers)).model_copy(update=said)
        return base.model_copy(update={"rules": (*base.rules, *rules.values()), "name": name})


def uniform_network(model: FloatModel) -> Network:
    """The layers that the machine executes, all at 8 bits."""
    translation = model.translation
    network = Network(model.name, translation.layers, outputs=translation.outputs,
                      unsupported=dict(sorted((+translation.unsupported).items())))
    return uniform(network, weight_bits=UNIFORM_BITS, activation_bits=UNIFORM_BITS)


def unknown_name(name: str, known: Iterable[str], what: str) -> SearchError:
    """A name that is not in the network."""
    names = list(known)
    return SearchError(f"expected a layer or tensor of the network to be {what}, got {quoted(name)}"
                       f"{did_you_mean(name, names)}")
