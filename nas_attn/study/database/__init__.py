"""A study's trials and claims in a database that Optuna reads: written once each, whole or not at all."""
