"""The PE grid moved register by register, clock by clock: the truth that the tile engine's closed forms are held to."""
