"""From a placement to a network."""

from __future__ import annotations

from torch import nn

from nas_attn.attention import KINDS, build_attention
from nas_attn.errors import AttentionError, RegistryError, SpaceError, did_you_mean
from nas_attn.network import UNetConfig
from nas_attn.placement import AttentionSpec, Location, Placement, Site
from nas_attn.unet.unet import UNet


def build_unet(network: UNetConfig, placement: Placement) -> UNet:
    """The network with attention where the placement puts it; ``none`` adds nothing to it.

    Args:
        network: the U-Net without its attention.
        placement: one attention for each of the network's locations.
    Returns:
        a module: (N, in_channels, H, W) -> logits (N, K, H, W).
    Raises:
        SpaceError: a location is missing, foreign to the network, or given what cannot stand there; all such
            are named together.
    """
    sites = {site.location: site for site in network.sites(network.min_image_size, network.min_image_size)}
    problems = _location_problems(network.locations, placement)
    modules: dict[str, nn.Module] = {}
    for location, spec in placement.attended:
        if location not in sites:
            continue
        try:
            modules[str(location)] = _module(spec, sites[location])
        except (AttentionError, RegistryError) as error:
            problems += [f"{location}: {problem}" for problem in error.problems]
    if problems:
        raise SpaceError(problems)
    return UNet(
        in_channels=network.in_channels,
        classes=network.classes,
        depth=network.depth,
        base_channels=network.base_channels,
        norm=network.norm,
        upsampling=network.upsampling,
        attention=modules,
        gated=[str(location) for location, spec in placement.attended if KINDS[spec.kind].kind.needs_gate],
    )


def _location_problems(locations: tuple[Location, ...], placement: Placement) -> list[str]:
    named = [location for location, _ in placement]
    known = [str(location) for location in locations]
    missing = [
        f"{location}: the placement says nothing about it; write none for no attention"
        for location in locations
        if location not in named
    ]
    foreign = [
        f"{location}: the network has no such location; {did_you_mean(str(location), known)}"
        for location in named
        if location not in locations
    ]
    return missing + foreign


def _module(spec: AttentionSpec, site: Site) -> nn.Module:
    kind = KINDS[spec.kind].kind
    if site.location.stage not in kind.stages:
        reason = ", for it needs the decoder feature that enters a level" if kind.needs_gate else ""
        raise AttentionError(f"{kind.name} may stand at {' | '.join(map(str, kind.stages))} only{reason}")
    return build_attention(spec, site.channels, site.gate_channels)
