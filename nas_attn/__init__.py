"""Which attention module belongs where in a U-Net, and is it worth its cost?

Nothing heavy is imported before it is used: ``import nas_attn`` loads neither torch nor Optuna.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nas_attn.api import insert, load, predict, read_space, remove, save, search, train
    from nas_attn.models.placement import AttentionSpec, Location, Placement
    from nas_attn.opened import open_study
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
    "open_study": "nas_attn.opened",
}
"""Modules of the names that are not in ``nas_attn.api``."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'nas_attn' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES.get(name, "nas_attn.api")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
