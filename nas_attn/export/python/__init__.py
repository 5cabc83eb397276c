"""A network as one readable Python file that needs only PyTorch."""
