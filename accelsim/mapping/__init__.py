"""Where and when: layers become matrix products, tiles and a program of steps."""
