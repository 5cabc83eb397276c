"""Insert attention into a network of others by hooks, and remove it."""

from nas_attn.models.insertion.insert import (
    CONTAINER,
    Attentions,
    Place,
    argument_of,
    insert_modules,
    remove_modules,
    submodule,
)
from nas_attn.models.insertion.points import HookPoint, Way

__all__ = [
    "CONTAINER",
    "Attentions",
    "HookPoint",
    "Place",
    "Way",
    "argument_of",
    "insert_modules",
    "remove_modules",
    "submodule",
]
