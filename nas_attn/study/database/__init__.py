"""The trials and claims of a study in a database that Optuna can read. Each is written once, completely or not at
all."""
