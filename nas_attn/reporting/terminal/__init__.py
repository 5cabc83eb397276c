"""Tables and drawings for the terminal, rendered by rich."""
