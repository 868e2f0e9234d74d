"""The machine in SimPy: the only mutable state, born and dying inside one run."""
