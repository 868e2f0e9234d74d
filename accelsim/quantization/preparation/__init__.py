"""Edits of a float network that keep its function and make it easier to quantize."""
