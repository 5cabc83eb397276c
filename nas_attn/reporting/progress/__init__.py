"""The progress of a search and what it can detect, for terminals, notebooks and workers."""
