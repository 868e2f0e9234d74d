"""``accelsim presets``: what comes with accelsim."""

from __future__ import annotations

from accelsim.cli.options import JsonOption
from accelsim.cli.output import print_json, print_text


def presets(is_json: JsonOption = False) -> None:
    """List the shipped accelerators, energy tables and networks."""
    from accelsim.hardware.loader import load_accelerator, load_energy_table
    from accelsim.hardware.presets import energy_table_names, preset_names
    from accelsim.workload.load import shipped_workloads

    shipped = {
        "accelerators": {name: load_accelerator(name).description for name in preset_names()},
        "energy_tables": {name: load_energy_table(name).technology for name in energy_table_names()},
        "networks": dict.fromkeys(shipped_workloads(), ""),
    }
    if is_json:
        print_json(shipped | {"networks": list(shipped["networks"])})
        return
    for place, (kind, entries) in enumerate(shipped.items()):
        print_text(("\n" if place else "") + kind.replace("_", " "))
        longest = max(map(len, entries), default=0)
        for name, description in entries.items():
            print_text(f"  {name:<{longest}}  {description}".rstrip())
