"""Where the files of this package put their modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from nas_attn.models.attention._check import checking
from nas_attn.models.catalogue import KINDS, Attention
from nas_attn.models.kind import AttentionKind

M = TypeVar("M", bound=nn.Module)


def attention(kind: AttentionKind) -> Callable[[type[M]], type[M]]:
    """A class decorator that registers an ``nn.Module`` under the name of its kind, once for each class.

    Its constructor refuses sizes below 1 and options that the kind does not allow, with an AttentionError.
    """

    def register(module: type[M]) -> type[M]:
        module.__init__ = checking(kind, module.__init__)  # type: ignore[method-assign]
        KINDS.add(kind.name, Attention(kind, module))
        return module

    return register
