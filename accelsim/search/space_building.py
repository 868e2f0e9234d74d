"""Finds the decisions of a network: who shares a width with whom, what is fixed, what is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from accelsim.errors import SearchError
from accelsim.lut.operand_tensors import OperandTensors
from accelsim.search.operand import Operand, OperandKind
from accelsim.search.problem import Variable
from accelsim.search.space import LayerOperands, SearchSpace, unknown_name
from accelsim.search.space_options import SpaceOptions
from accelsim.search.tensor_groups import TensorGroups
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network


class SpaceBuilding:
    """The state of one search space in the making.

    Parameters
    ----------
    network : with 8 bits everywhere.
    weighted : its layers with constant weights.
    groups : activations with one width.
    options : what is open.
    """

    def __init__(self, network: Network, weighted: Sequence[str], groups: TensorGroups, options: SpaceOptions) -> None:
        self.options = options
        self.network = network
        self.weighted = list(weighted)
        self.groups = groups
        self.leaders: dict[Operand, Operand] = {}
        self.layers = {layer.name: self._operands(layer) for layer in self.network.layers}

    def space(self) -> SearchSpace:
        """The finished space."""
        self._put_ties()
        fixed = self._fixed()
        members: dict[Operand, list[Operand]] = {}
        for operand in self.leaders:
            members.setdefault(self._leader(operand), []).append(operand)
        variables = []
        for leader, operands in members.items():
            choices = set(self._open(leader.kind))
            for operand in operands:
                choices &= set(self._open(operand.kind))
            stated = {fixed[operand]: operand for operand in operands if operand in fixed}
            if len(stated) > 1:
                found = " and ".join(f"{operand} {bits}" for bits, operand in sorted(stated.items()))
                raise SearchError(f"expected one width, since they share it, got {found}", field=str(leader))
            if not choices and not stated:
                raise SearchError(f"expected a width that all of {', '.join(map(str, operands))} may have, got none",
                                  field=str(leader))
            variables.append(Variable(str(leader), tuple(stated) or tuple(sorted(choices))))
        variable_of = {operand: str(self._leader(operand)) for operand in self.leaders}
        return SearchSpace(self.network, self.layers, variable_of, tuple(variables), self.groups.written)

    def _open(self, kind: OperandKind) -> tuple[int, ...]:
        options = self.options
        return {"weights": options.weight_bits, "activations": options.activation_bits,
                "accumulators": options.accumulator_bits}[kind]

    def _operands(self, layer: Layer) -> LayerOperands:
        """The operands of a layer; those that one width has are tied at once."""
        tensors = OperandTensors.of(layer)
        weights: Operand | None = None
        inputs = [self._group(tensor.name) for tensor in tensors.inputs]
        if layer.is_on_grid and layer.weights is not None and layer.name in self.weighted:
            weights = self._put(Operand("weights", layer.name))
        elif layer.is_on_grid and layer.weights is None and tensors.weights is not None:
            weights = self._group(tensors.weights.name)
        known = [operand for operand in inputs if operand is not None]
        for other in known[1:]:
            self._tie(known[0], other)
        if self.options.is_joined and weights is not None and known:
            self._tie(weights, known[0])
        accumulators = None
        if layer.is_on_grid and self.options.accumulator_bits:
            accumulators = self._put(Operand("accumulators", layer.name))
        return LayerOperands(weights, known[0] if known else None, self._group(tensors.output.name), accumulators)

    def _group(self, tensor: str) -> Operand | None:
        """The activation that a tensor of the network is part of; None for integers (indices)."""
        group = self.groups.of_tensor.get(tensor)
        return None if group is None else self._put(Operand("activations", group))

    def _put(self, operand: Operand) -> Operand:
        self.leaders.setdefault(operand, operand)
        return operand

    def _leader(self, operand: Operand) -> Operand:
        while self.leaders[operand] != operand:
            operand = self.leaders[operand]
        return operand

    def _tie(self, operand: Operand, other: Operand) -> None:
        """One variable for both; the one that the network meets first names it."""
        first, second = sorted((self._leader(operand), self._leader(other)), key=list(self.leaders).index)
        self.leaders[second] = first

    def _put_ties(self) -> None:
        for names in self.options.ties:
            kinds: dict[OperandKind, list[Operand]] = {}
            for name in names:
                for operand in self._named(name, "tied"):
                    kinds.setdefault(operand.kind, []).append(operand)
            for operands in kinds.values():
                for other in operands[1:]:
                    self._tie(operands[0], other)

    def _named(self, name: str, what: str) -> list[Operand]:
        """The weights of a layer of this name, or the activation that a tensor of it is part of."""
        found = [operand for operand in (Operand("weights", name),) if operand in self.leaders]
        if not found and name in self.groups.named:
            found = [Operand("activations", self.groups.named[name])]
        if not found:
            raise unknown_name(name, [*self.weighted, *self.groups.named], what)
        return found

    def _fixed(self) -> Mapping[Operand, int]:
        """Widths by operand; names given by the user win over `first` and the like."""
        groups = {"first": self.weighted[:1], "last": self.weighted[-1:]}
        ends = {"inputs": self.groups.inputs, "outputs": self.groups.outputs}
        found: dict[Operand, int] = {}
        for name, bits in self.options.fixed.items():
            if name in groups:
                found |= dict.fromkeys((Operand("weights", layer) for layer in groups[name]), bits)
            elif name in ends:
                found |= dict.fromkeys((Operand("activations", group) for group in ends[name]), bits)
        for name, bits in self.options.fixed.items():
            if name not in groups and name not in ends:
                found |= dict.fromkeys(self._named(name, "fixed"), bits)
        return {operand: bits for operand, bits in found.items() if operand in self.leaders}
