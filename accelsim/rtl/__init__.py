"""The described PE grid as synthesizable hardware, from the same description as the simulator (extra ``rtl``, Amaranth)."""
