"""A stand-alone training script: the network, its attention, the recipe of the search, and a plain loop."""
