"""Which integer each weight becomes: AdaRound, AdaQuant and second-order rounding."""
