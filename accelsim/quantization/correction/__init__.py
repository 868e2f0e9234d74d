"""What a bias takes over: the shift that quantized weights cause, and what every activation has in common."""
