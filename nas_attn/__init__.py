"""Which attention module belongs where in a U-Net, and is it worth its cost?

Nothing heavy is imported before it is used: ``import nas_attn`` loads neither torch nor Optuna.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nas_attn.api import insert, load, open_study, predict, read_space, remove, save, search, train
    from nas_attn.models.placement import AttentionSpec, Location, Placement
    from nas_attn.space import SearchSpace

__all__ = [
    "AttentionSpec",
    "Location",
    "Placement",
    "SearchSpace",
    "insert",
    "load",
    "open_study",
    "predict",
    "read_space",
    "remove",
    "save",
    "search",
    "train",
]

_HOMES = {
    "AttentionSpec": "nas_attn.models.placement",
    "Location": "nas_attn.models.placement",
    "Placement": "nas_attn.models.placement",
    "SearchSpace": "nas_attn.space",
    "insert": "nas_attn.api",
    "load": "nas_attn.api",
    "open_study": "nas_attn.api",
    "predict": "nas_attn.api",
    "read_space": "nas_attn.api",
    "remove": "nas_attn.api",
    "save": "nas_attn.api",
    "search": "nas_attn.api",
    "train": "nas_attn.api",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'nas_attn' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
