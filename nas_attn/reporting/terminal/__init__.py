"""Tables and drawings for the terminal, as rich renders them."""
