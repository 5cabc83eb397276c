"""(placement, budget, seed) -> Outcome: by training, or by looking it up in a made-up task."""
