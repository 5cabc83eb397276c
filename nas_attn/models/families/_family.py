"""What a family of networks has to offer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_attn.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    from nas_attn.models.asked_network import AskedNetwork

Build = Callable[["AskedNetwork", int, int], "nn.Module"]
"""Takes what was asked for, the channels of an image and the number of classes K."""


@dataclass(frozen=True)
class NetworkFamily:
    """A library of networks.

    Args:
        build: the network with fresh weights, drawn from torch's global generator; two calls after the same seed
            give the same weights. Raises NetworkError where it cannot be built as asked.
        build_pretrained: the same with the library's own trained weights, which may be fetched; None where it has
            none.
    """

    build: Build
    build_pretrained: Build | None = None


FAMILIES: Registry[NetworkFamily] = Registry("nas_attn.models.families", "network family", "nas_attn.networks")


OWN = ("smp", "monai", "nnunet", "module")
"""The families that nas-attn brings."""


def family_names() -> tuple[str, ...]:
    """All families, without importing any: nas-attn's, and those that installed packages offer."""
    return (*OWN, *sorted(FAMILIES.offered()))


def network_family(name: str, *, pretrained: Build | None = None) -> Callable[[Build], Build]:
    """A decorator that registers a function that builds networks.

    Args:
        name: what stands before the colon: ``smp`` of ``smp:Unet/resnet34``.
        pretrained: builds the same with the library's trained weights.
    """

    def decorate(build: Build) -> Build:
        FAMILIES.add(name, NetworkFamily(build, pretrained))
        return build

    return decorate
