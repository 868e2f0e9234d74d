"""What came out of a run: frozen values, pandas at the edge."""
