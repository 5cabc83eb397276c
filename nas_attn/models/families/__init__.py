"""Who builds networks that are not ours: a file for each library, and what such a family has to offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas_attn.registry import Registry

if TYPE_CHECKING:
    from nas_attn.models.asked_network import AskedNetwork

Plan = Callable[["AskedNetwork", int, int], "Builder"]
"""Takes what was asked for, the channels of an image and the number of classes K."""


@dataclass(frozen=True)
class Builder:
    """The call that builds a network.

    Args:
        title: what the network is called in errors.
        function: the class or function that is called.
        name: of it, such as ``segmentation_models_pytorch.Unet``: a module and what is imported from it.
        arguments: by name.
    """

    title: str
    function: Callable[..., Any]
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class NetworkFamily:
    """A library of networks.

    Args:
        plan: the call that builds a network; two calls after the same seed give the same weights. Raises
            NetworkError where there is no such network.
        plan_pretrained: the same with the library's own trained weights, which may be fetched; None where it has
            none.
    """

    plan: Plan
    plan_pretrained: Plan | None = None


FAMILIES: Registry[NetworkFamily] = Registry("nas_attn.models.families", "network family", "nas_attn.networks")


OWN = ("smp", "monai", "nnunet", "module")
"""The families that nas-attn brings."""


def family_names() -> tuple[str, ...]:
    """All families, without importing any: nas-attn's, and those that installed packages offer."""
    return (*OWN, *sorted(FAMILIES.offered()))


def network_family(name: str, *, pretrained: Plan | None = None) -> Callable[[Plan], Plan]:
    """A decorator that registers a function that says how networks are built.

    Args:
        name: what stands before the colon: ``smp`` of ``smp:Unet/resnet34``.
        pretrained: says the same of one with the library's trained weights.
    """

    def decorate(plan: Plan) -> Plan:
        FAMILIES.add(name, NetworkFamily(plan, pretrained))
        return plan

    return decorate
