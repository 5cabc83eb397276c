"""Families of networks of others: one file for each library, and what a family has to provide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas_attn.registry import Registry

if TYPE_CHECKING:
    from nas_attn.models.asked_network import AskedNetwork

Plan = Callable[["AskedNetwork", int, int], "Builder"]
"""Takes the network asked for, the channels of an image and the number of classes K."""


@dataclass(frozen=True)
class Builder:
    """The call that builds a network.

    Args:
        title: name of the network in error messages.
        function: the class or function that is called.
        name: of the function, such as ``segmentation_models_pytorch.Unet``: its module, and what is imported from
            it.
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
        plan: returns the call that builds a network; two calls after the same seed must give the same weights.
            Raises NetworkError if there is no such network.
        plan_pretrained: the same with the library's own pretrained weights, which may be downloaded; None if it
            has none.
    """

    plan: Plan
    plan_pretrained: Plan | None = None


FAMILIES: Registry[NetworkFamily] = Registry("nas_attn.models.families", "network family", "nas_attn.networks")


OWN = ("smp", "monai", "nnunet", "module")
"""The families of nas-attn."""


def family_names() -> tuple[str, ...]:
    """Names of all families, without importing any: nas-attn's own, and those of installed packages."""
    return (*OWN, *sorted(FAMILIES.offered()))


def network_family(name: str, *, pretrained: Plan | None = None) -> Callable[[Plan], Plan]:
    """Decorator that registers a function that plans how networks are built.

    Args:
        name: of the family, before the colon: ``smp`` in ``smp:Unet/resnet34``.
        pretrained: plans the same with the library's pretrained weights.
    """

    def decorate(plan: Plan) -> Plan:
        FAMILIES.add(name, NetworkFamily(plan, pretrained))
        return plan

    return decorate
