"""What other runtimes compute for the same model: the truth that integers are held to."""
