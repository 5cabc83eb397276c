"""All sentences about what the analysis found, and placements and numbers in words; neither torch nor Optuna."""
