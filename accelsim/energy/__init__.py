"""From counts and a table of published costs to picojoules and square micrometres; pure functions."""

from accelsim.energy.area import Area, estimate_area
from accelsim.energy.layer_energy import layer_energy_pj
from accelsim.energy.traffic_energy import traffic_cost

__all__ = ["Area", "estimate_area", "layer_energy_pj", "traffic_cost"]
