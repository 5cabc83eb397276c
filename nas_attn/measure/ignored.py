"""Pixels that nobody judges."""

IGNORED = 255
"""Label of a pixel that is left out."""
