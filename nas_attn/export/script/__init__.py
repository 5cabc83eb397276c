"""A training script that stands alone: the network, its attention, the recipe of the search, a plain loop."""
