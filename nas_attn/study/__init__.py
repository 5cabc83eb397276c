"""Studies: Optuna's storage as their ledger, the search loop, the workers. Nothing is imported before it is
used."""
