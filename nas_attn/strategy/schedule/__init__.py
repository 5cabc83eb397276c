"""What a study evaluates next: controls, the budget's probe, proposals, the finalists' further seeds."""
