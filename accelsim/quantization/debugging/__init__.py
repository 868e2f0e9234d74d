"""Where a quantized network loses its accuracy, and what helps (white paper, arXiv 2106.08295, section 3.7)."""
