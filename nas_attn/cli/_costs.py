"""What the placements of a space cost, without counting each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nas_attn.placement import AttentionSpec, Location, Placement, Site, Stage
from nas_attn.record import Cost

if TYPE_CHECKING:
    from nas_attn.space import SearchSpace


@dataclass(frozen=True)
class Costed:
    """A placement with its cost."""

    placement: Placement
    cost: Cost


@dataclass(frozen=True)
class Extremes:
    """The plain U-Net, and the placements of a space with the fewest and the most operations."""

    plain: Costed
    cheapest: Costed
    dearest: Costed


def extremes(space: SearchSpace) -> Extremes:
    """The ends of a space's costs, by MACs, then by parameters.

    Attention changes no size around it, so costs add up over the locations: each choice is counted once by
    itself, the ends are put together from the cheapest and the dearest choice of each location, and then they
    are counted as whole networks.
    """
    counted: dict[tuple[AttentionSpec, Site], tuple[int, int]] = {}
    ends: tuple[dict[Location, AttentionSpec], ...] = ({}, {})
    for site, (location, specs) in zip(space.sites, space.choices, strict=True):
        costs = {spec: _increment(spec, site, counted) for spec in specs}
        ends[0][location] = min(costs, key=costs.__getitem__)
        ends[1][location] = max(costs, key=costs.__getitem__)
    cheapest, dearest = (_costed(space, Placement.of(end)) for end in ends)
    return Extremes(_costed(space, space.plain), cheapest, dearest)


def _increment(
    spec: AttentionSpec, site: Site, counted: dict[tuple[AttentionSpec, Site], tuple[int, int]]
) -> tuple[int, int]:
    """MACs and parameters that a choice adds; counted once for all sites of equal sizes."""
    import torch

    from nas_attn.attention import KINDS, build_attention
    from nas_attn.measure import count_macs, count_parameters

    sized = replace(site, location=Location(Stage.BOTTLENECK))
    if (spec, sized) not in counted:
        with torch.device("meta"):
            module = build_attention(spec, site.channels, site.gate_channels)
        shapes = [(1, site.channels, site.height, site.width)]
        if KINDS[spec.kind].kind.needs_gate and site.gate_channels is not None:
            shapes.append((1, site.gate_channels, site.height // 2, site.width // 2))
        counted[spec, sized] = count_macs(module, *shapes), count_parameters(module)
    return counted[spec, sized]


def _costed(space: SearchSpace, placement: Placement) -> Costed:
    import torch

    from nas_attn.measure import measure_cost
    from nas_attn.unet import build_unet

    with torch.device("meta"):
        module = build_unet(space.network, placement)
    return Costed(placement, measure_cost(module, (space.network.in_channels, space.height, space.width)))
