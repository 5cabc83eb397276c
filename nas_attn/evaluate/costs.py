"""The exact cost of any placement without building its network."""

from __future__ import annotations

from dataclasses import replace

import torch

from nas_attn.attention import KINDS, build_attention
from nas_attn.measure import count_macs, count_parameters
from nas_attn.network import UNetConfig
from nas_attn.placement import AttentionSpec, Location, Placement, Site, Stage
from nas_attn.record import Cost
from nas_attn.unet import build_unet


class CostTable:
    """Parameters and MACs of a network's placements, for images of one size.

    Attention changes no size around it, so costs add up over the locations: the plain U-Net is counted once,
    and each choice once by itself. The sums equal what counting the whole network gives.

    Args:
        network: the U-Net without its attention.
        height: H of an image in pixels.
        width: W of an image in pixels.
    """

    def __init__(self, network: UNetConfig, height: int, width: int) -> None:
        self._sites = {site.location: site for site in network.sites(height, width)}
        self._increments: dict[tuple[Location, AttentionSpec], tuple[int, int]] = {}
        self._counted: dict[tuple[AttentionSpec, Site], tuple[int, int]] = {}
        with torch.device("meta"):
            plain = build_unet(network, network.plain)
        self.plain = Cost(count_parameters(plain), count_macs(plain, (1, network.in_channels, height, width)))

    def __call__(self, placement: Placement) -> Cost:
        """What the whole network costs with this placement."""
        added = [self.increment(location, spec) for location, spec in placement.attended]
        return Cost(
            parameters=self.plain.parameters + sum(parameters for parameters, _ in added),
            macs=self.plain.macs + sum(macs for _, macs in added),
        )

    def increment(self, location: Location, spec: AttentionSpec) -> tuple[int, int]:
        """Parameters and MACs that an attention adds at a location; counted once for all sites of equal sizes."""
        if (location, spec) not in self._increments:
            site = replace(self._sites[location], location=Location(Stage.BOTTLENECK))
            if (spec, site) not in self._counted:
                self._counted[spec, site] = _count(spec, site)
            self._increments[location, spec] = self._counted[spec, site]
        return self._increments[location, spec]


def _count(spec: AttentionSpec, site: Site) -> tuple[int, int]:
    with torch.device("meta"):
        module = build_attention(spec, site.channels, site.gate_channels)
    shapes = [(1, site.channels, site.height, site.width)]
    if KINDS[spec.kind].kind.needs_gate and site.gate_channels is not None:
        shapes.append((1, site.gate_channels, site.height // 2, site.width // 2))
    return count_parameters(module), count_macs(module, *shapes)
