"""All sentences about numbers of the analysis; neither torch nor Optuna."""
