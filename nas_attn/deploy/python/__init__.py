"""A network as one readable Python file that needs only PyTorch."""

from __future__ import annotations

from nas_attn.deploy.python.file import python_source
from nas_attn.deploy.python.write import write_python

__all__ = ["python_source", "write_python"]
