"""Samplers: each file has its own way to propose the next placement."""
