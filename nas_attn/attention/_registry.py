"""Where the files of this package put their modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from nas_attn.kind import AttentionKind
from nas_attn.registry import Registry

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Attention:
    """A kind and the module that computes it.

    Args:
        kind: the facts.
        module: takes ``channels``, then what the kind's facts say of ``gate_channels``, ``block_channels`` and
            ``classes``, then the kind's own options, all as keywords.
    """

    kind: AttentionKind
    module: Callable[..., nn.Module]


KINDS: Registry[Attention] = Registry("nas_attn.attention", "attention")


def attention(kind: AttentionKind) -> Callable[[type[M]], type[M]]:
    """A class decorator that registers an ``nn.Module`` under the name of its kind."""

    def register(module: type[M]) -> type[M]:
        KINDS.add(kind.name, Attention(kind, module))
        return module

    return register
