"""How far a search is and what it can tell, by its own trials: for terminals, notebooks and workers."""
