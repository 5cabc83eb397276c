"""Samplers: each file proposes the placement to try next in its own way."""
