"""Sentences about the results of the analysis, and placements and numbers in words, without torch or Optuna."""
