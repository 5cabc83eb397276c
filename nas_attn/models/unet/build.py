"""From a placement to a network."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from nas_attn.errors import AttentionError, RegistryError, SpaceError
from nas_attn.models.attention import Fade, attention_at, takes_upconvolved
from nas_attn.models.catalogue import KINDS
from nas_attn.models.kind import AttentionKind, Family
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Placement, Site, location_problems
from nas_attn.models.unet.unet import UNet


def build_unet(network: UNetConfig, placement: Placement) -> UNet:
    """The network with attention where the placement puts it; ``none`` adds nothing to it.

    Args:
        network: the U-Net without its attention.
        placement: one attention for each of the network's locations.
    Returns:
        a module: (N, in_channels, H, W) -> logits (N, K, H, W). With attention that needs clips N is a multiple of
        the network's frames T: T consecutive frames of one clip, then those of the next.
    Raises:
        SpaceError: a location is missing, foreign to the network, or given what cannot stand there; all such
            are named together.
    """
    sites = {site.location: site for site in network.sites(network.min_image_size, network.min_image_size)}
    problems = location_problems(network.locations, placement)
    modules: dict[str, nn.Module] = {}
    for location, spec in placement.attended:
        if location not in sites:
            continue
        try:
            modules[str(location)] = _module(spec, sites[location], network.classes)
        except (AttentionError, RegistryError) as error:
            problems += [f"{location}: {problem}" for problem in error.problems]
    if problems:
        raise SpaceError(problems)
    fading = {location for location, module in modules.items() if isinstance(module, Fade)}
    return UNet(
        in_channels=network.in_channels,
        classes=network.classes,
        depth=network.depth,
        base_channels=network.base_channels,
        norm=network.norm,
        upsampling=network.upsampling,
        attention=modules,
        gated=_places(placement, lambda kind: kind.needs_gate),
        gated_finely={str(location) for location, spec in placement.attended if takes_upconvolved(spec)},
        instead=_places(placement, lambda kind: kind.family is Family.CONVOLUTION) - fading,
        beside=_places(placement, lambda kind: kind.family is Family.CONVOLUTION) & fading,
        around=_places(placement, lambda kind: kind.family is Family.BLOCK),
    )


def _places(placement: Placement, where: Callable[[AttentionKind], bool]) -> set[str]:
    return {str(location) for location, spec in placement.attended if where(KINDS[spec.kind].kind)}


def _module(spec: AttentionSpec, site: Site, classes: int) -> nn.Module:
    kind = KINDS[spec.kind].kind
    if site.location.stage not in kind.stages:
        places = " | ".join(map(str, kind.stages))
        raise AttentionError(f"{kind.name} may stand at {places} only{_reason(kind)}")
    return attention_at(spec, site, classes)


def _reason(kind: AttentionKind) -> str:
    if kind.needs_gate:
        return ", for it needs the decoder feature that enters a level"
    if kind.family in (Family.CONVOLUTION, Family.BLOCK):
        return f", for it takes {'a convolution' if kind.family is Family.CONVOLUTION else 'a block'}'s place"
    return ""
