"""What a latency table was made of: the first lines of its file, by which it is refused for anything else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.errors import TableError
from accelsim.hardware.accelerator import Accelerator
from accelsim.lut.assignment import uniform
from accelsim.mapping.options import MappingOptions
from accelsim.version import __version__
from accelsim.workload.network import Network


@dataclass(frozen=True, slots=True)
class TableHeader:
    """Where a table's costs come from.

    Parameters
    ----------
    accelsim_version : that ran the layers.
    network, hardware : names, for people.
    network_fingerprint : of `network_fingerprint` below; "" in a table of somebody else's costs.
    hardware_fingerprint : of `Accelerator.fingerprint`; "" in a table of somebody else's costs.
    options : of the mapping, as `MappingOptions.to_text` gives them.
    clock_hz : the accelerator's clock.
    energy_unit : of its energy table.
    accumulator_bits : the accelerator's own width, which rows without one have.
    """

    accelsim_version: str
    network: str
    network_fingerprint: str
    hardware: str
    hardware_fingerprint: str
    options: Mapping[str, str]
    clock_hz: int
    energy_unit: str = "pJ"
    accumulator_bits: int = 32

    @classmethod
    def of(cls, network: Network, accelerator: Accelerator, options: MappingOptions) -> TableHeader:
        return cls(
            accelsim_version=__version__,
            network=_on_one_line(network.name), network_fingerprint=network_fingerprint(network),
            hardware=_on_one_line(accelerator.name), hardware_fingerprint=accelerator.fingerprint,
            options=options.to_text(), clock_hz=accelerator.clock_hz, energy_unit=accelerator.energy.unit,
            accumulator_bits=accelerator.accumulators.bits)

    @property
    def clock_mhz(self) -> float:
        return self.clock_hz / 1e6

    @property
    def options_fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(dict(self.options), sort_keys=True).encode()).hexdigest()

    def check(self, *, network: Network | None = None, accelerator: Accelerator | None = None,
              options: MappingOptions | None = None, file: str | None = None) -> None:
        """Refuse a table that was made for something else.

        Raises
        ------
        TableError : another network, accelerator or mapping, told by its fingerprint.
        """
        if network is not None:
            _compare("network", self.network, self.network_fingerprint, network.name, network_fingerprint(network), file)
        if accelerator is not None:
            _compare("accelerator", self.hardware, self.hardware_fingerprint, accelerator.name, accelerator.fingerprint,
                     file)
        if options is not None and dict(self.options) != options.to_text():
            found, wanted = (", ".join(f"{name} {value}" for name, value in texts.items() if other.get(name) != value)
                             for texts, other in ((self.options, options.to_text()), (options.to_text(), self.options)))
            raise TableError(f"expected a table made with {wanted}, got one made with {found}", file=file)


def network_fingerprint(network: Network) -> str:
    """SHA-256 of a network whatever the bits of its operands: of the network with all of them at 8.

    >>> from accelsim.workload.load import load_network
    >>> narrow, wide = (load_network("mlperf_tiny_dscnn", weight_bits=bits, input_bits=bits) for bits in (4, 8))
    >>> narrow.fingerprint == wide.fingerprint, network_fingerprint(narrow) == network_fingerprint(wide)
    (False, True)
    """
    return uniform(network, weight_bits=8, activation_bits=8).fingerprint


def _on_one_line(name: str) -> str:
    return " ".join(name.split())


def _compare(what: str, found: str, found_fingerprint: str, wanted: str, wanted_fingerprint: str, file: str | None) -> None:
    if not found_fingerprint:
        raise TableError(f"expected a table made for the {what} {wanted}, got one that does not say what it was made for",
                         file=file)
    if found_fingerprint != wanted_fingerprint:
        raise TableError(f"expected a table made for the {what} {wanted} (fingerprint {wanted_fingerprint[:12]}), got one "
                         f"made for {found} (fingerprint {found_fingerprint[:12]})", file=file)
