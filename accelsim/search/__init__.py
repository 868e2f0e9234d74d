"""Mixed precision under budgets: which layer gets which widths, found exactly or not, and proved on the machine."""
