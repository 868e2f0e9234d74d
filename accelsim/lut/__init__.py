"""Latency tables: what every layer of a network costs at every choice of its operands' bits, each combination run once."""
