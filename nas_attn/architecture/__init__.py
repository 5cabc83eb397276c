"""The architecture file: pick a placement of a study, write it and read it."""

from __future__ import annotations

from nas_attn.architecture.architecture import Architecture, Found, Results, Verified
from nas_attn.architecture.pick import BEST, best, pick
from nas_attn.architecture.read import read_architecture
from nas_attn.architecture.write import write_architecture

__all__ = [
    "BEST",
    "Architecture",
    "Found",
    "Results",
    "Verified",
    "best",
    "pick",
    "read_architecture",
    "write_architecture",
]
