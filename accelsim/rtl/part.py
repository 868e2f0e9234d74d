"""Components and how they stand in each other: inlined for Amaranth's simulator, or as instances of shared modules.

Amaranth makes a module of each component object. A grid of R x C PEs that are all alike would become R x C modules; with
`Shared` it becomes one, instantiated R x C times, and the Verilog stays as small as the description.
"""

from __future__ import annotations

from typing import Any, Protocol

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

#: Bits of all inputs, and of all outputs, that a module may have: Amaranth numbers them with 16 bits, clock and reset too.
MODULE_BITS = (1 << 16) - 2


class Hierarchy(Protocol):
    """Where a component puts the components inside it."""

    def place(self, m: Module, name: str, kind: type[Part], *arguments: Any, **options: Any) -> Any:
        """Put a component of this kind into `m` under this name; returns what has its ports."""


class Inlined:
    """Each component stands where it is used, as an object of its own."""

    def place(self, m: Module, name: str, kind: type[Part], *arguments: Any, **options: Any) -> Any:
        part = kind(*arguments, hierarchy=self, **options)
        m.submodules[name] = part
        return part


class Shared:
    """Components of one kind with the same arguments share a module.

    `parts` holds one component for each module, by the module's name, in the order in which they were first used.
    """

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self._known: dict[object, Part] = {}

    def place(self, m: Module, name: str, kind: type[Part], *arguments: Any, **options: Any) -> Any:
        key = (kind, arguments, tuple(options.items()))
        if key not in self._known:
            part = self._known[key] = kind(*arguments, hierarchy=self, **options)
            assert part.module_name not in self.parts, f"two modules are called {part.module_name}"
            self.parts[part.module_name] = part
        part = self._known[key]
        ports = part.signature.create(path=(name,))
        connections = {"i_clk": ClockSignal(), "i_rst": ResetSignal()} if part.is_clocked else {}
        for path, member, value in part.signature.flatten(ports):
            connections[("i_" if member.flow == In else "o_") + "__".join(map(str, path))] = value
        m.submodules[name] = Instance(part.module_name, **connections)
        return ports


class Part(wiring.Component):
    """A component with a name for its module.

    Attributes
    ----------
    module_name : of its Verilog module, one for each set of arguments.
    is_clocked : whether it holds registers.
    hierarchy : for the components inside it.
    """

    module_name: str
    is_clocked = True

    def __init__(self, signature: dict[str, Any], *, hierarchy: Hierarchy | None = None) -> None:
        self.hierarchy: Hierarchy = hierarchy if hierarchy is not None else Inlined()
        super().__init__(signature)
