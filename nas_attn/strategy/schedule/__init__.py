"""What a study evaluates next: references, the budget's probe, proposals, the finalists' further seeds."""
