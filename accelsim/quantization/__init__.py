"""From a float network to integers: preparation, placement of quantizers, ranges, rounding, export."""
