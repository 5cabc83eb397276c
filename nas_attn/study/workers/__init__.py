"""Processes and Ray actors that evaluate, and what is done when one of them dies."""
