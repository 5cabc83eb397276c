"""The schedule of a study: reference architectures, the budget search, proposals, finals."""
