"""Factors that move magnitude between layers, or between copies of a channel, and leave the function as it is."""
