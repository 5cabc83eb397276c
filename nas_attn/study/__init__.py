"""The study: Optuna's storage as its ledger, the loop, the workers. Nothing is imported before it is used."""
