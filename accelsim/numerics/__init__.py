"""Integers as the hardware computes them: types, scales, roundings and requantization, bit for bit."""
