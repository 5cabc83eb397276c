"""Everything that a package of your own needs to add an attention, a search strategy, a data reader or networks.

An attention is a module with a description of its kind; a strategy or a reader is a function:

    from nas_attn.extend import AttentionKind, Option, attention
    from nas_attn.extend import Proposal, Question, strategy
    from nas_attn.extend import Dataset, assemble, pack, reader
    from nas_attn.extend import Builder, network_family

A search space, ``--strategy`` and ``--data`` then name it as ``my_package.my_module:MyAttention``. They can use
its registered name if your package has an entry point of that name in the group ``nas_attn.attentions``,
``nas_attn.strategies`` or ``nas_attn.readers``. A family of networks belongs to the group ``nas_attn.networks``;
its name stands before a colon, as in ``--network mine:unet``.
"""

from __future__ import annotations

from collections.abc import Callable

from nas_attn.data.dataset import Dataset, LabelledImages, assemble, pack
from nas_attn.data.readers import READERS, Reader, reader
from nas_attn.models.attention import attention
from nas_attn.models.attention._forward_cache import ForwardCache
from nas_attn.models.attention._noise import StepNoise
from nas_attn.models.attention._registry import check_arguments
from nas_attn.models.families import Builder, network_family
from nas_attn.models.kind import ALL_STAGES, BLOCK_STAGES, GATED_STAGES, AttentionKind, Family, Option
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement, Stage
from nas_attn.strategy import STRATEGIES, Proposal, Question, Strategy
from nas_attn.strategy.new_placements import nearest_new, newness
from nas_attn.strategy.question import generator

__all__ = [
    "ALL_STAGES",
    "BLOCK_STAGES",
    "GATED_STAGES",
    "NONE",
    "READERS",
    "STRATEGIES",
    "AttentionKind",
    "AttentionSpec",
    "Builder",
    "Dataset",
    "Family",
    "ForwardCache",
    "LabelledImages",
    "Location",
    "Option",
    "Placement",
    "Proposal",
    "Question",
    "Reader",
    "Stage",
    "StepNoise",
    "Strategy",
    "assemble",
    "attention",
    "check_arguments",
    "generator",
    "nearest_new",
    "network_family",
    "newness",
    "pack",
    "reader",
    "strategy",
]


def strategy(name: str) -> Callable[[Strategy], Strategy]:
    """Decorator that registers a strategy for ``--strategy NAME``."""
    return STRATEGIES.register(name)
