"""The exact cost of any placement, without building its network."""

from __future__ import annotations

import functools
from dataclasses import replace

import torch
from torch import Tensor, nn

from nas_attn.latencies import LatencyModel
from nas_attn.models.attention import attention_at, gate_shape
from nas_attn.models.build import build_network, way_of
from nas_attn.models.catalogue import KINDS
from nas_attn.models.described_network import DescribedNetwork, Network
from nas_attn.models.insertion import Way
from nas_attn.models.kind import Family
from nas_attn.models.placement import AttentionSpec, Location, Placement, Site, Stage
from nas_attn.record import Cost
from nas_attn.training.metrics import count_macs, count_parameters


class CostTable:
    """Parameters and MACs of a network's placements for an image or clip of one size; optionally their latency.

    Attention changes no size around it, so costs add up over the locations. The baseline is counted once, and each
    choice once by itself, less the convolution that it replaces. The sums equal a count of the whole network.

    Args:
        network: without its attention.
        height: H of an image in pixels.
        width: W of an image in pixels.
        latency: of any placement; None if no latency is known before it is measured.
    """

    def __init__(self, network: Network, height: int, width: int, latency: LatencyModel | None = None) -> None:
        self.network, self.latency = network, latency
        self._size = height, width
        self._sites = {site.location: site for site in network.sites(height, width)}
        self._classes = network.classes
        self._increments: dict[tuple[Location, AttentionSpec], tuple[int, int]] = {}
        # The code of another library's network may change, so its count is not cached.
        counted = _counted if isinstance(network, DescribedNetwork) else _counted_once
        parameters, macs = counted(network, height, width)
        self.plain = Cost(parameters, macs, None if latency is None else latency.plain_ms)

    def __call__(self, placement: Placement) -> Cost:
        """The cost of the whole network with this placement."""
        added = [self.increment(location, spec) for location, spec in placement.attended]
        return Cost(
            parameters=self.plain.parameters + sum(parameters for parameters, _ in added),
            macs=self.plain.macs + sum(macs for _, macs in added),
            latency_ms=None if self.latency is None else self.latency(placement),
        )

    def with_latency(self, latency: LatencyModel) -> CostTable:
        """The same table with a model of latency."""
        return CostTable(self.network, *self._size, latency)

    def increment(self, location: Location, spec: AttentionSpec) -> tuple[int, int]:
        """Parameters and MACs that an attention adds at a location; counted once for all sites of equal sizes.

        They are negative if the attention replaces a convolution that costs more.
        """
        if (location, spec) not in self._increments:
            site = alike(self._sites[location], spec)
            self._increments[location, spec] = added_cost(spec, site, self._classes)
        return self._increments[location, spec]


def ghost_of(network: Network, placement: Placement) -> nn.Module:
    """The network on the meta device, where nothing is computed or allocated."""
    if isinstance(network, DescribedNetwork):  # another library's code may fail to build on that device
        return build_network(network, placement).to("meta")
    with torch.device("meta"):
        return build_network(network, placement)


def _counted(network: Network, height: int, width: int) -> tuple[int, int]:
    """Parameters and MACs of a network without attention, for an image or a clip."""
    plain = ghost_of(network, network.plain)
    return count_parameters(plain), count_macs(plain, (network.frames, network.in_channels, height, width))


_counted_once = functools.cache(_counted)


@functools.cache
def added_cost(spec: AttentionSpec, site: Site, classes: int) -> tuple[int, int]:
    """Parameters and MACs that an attention at a site adds to a network of K classes, for an image or a clip."""
    parameters, macs = own_cost(spec, site, classes)
    with torch.device("meta"):
        replaced = replaced_convolution(spec, site)
    if replaced is None:
        return parameters, macs
    feature = (site.frames, site.channels, site.height, site.width)
    return parameters - count_parameters(replaced), macs - count_macs(replaced, feature)


@functools.cache
def own_cost(spec: AttentionSpec, site: Site, classes: int) -> tuple[int, int]:
    """Cost of an attention's module for an image or a clip, without the module that it replaces or wraps."""
    with torch.device("meta"):
        module, shapes = standalone(spec, site, classes)
    return count_parameters(module), count_macs(module, *shapes)


def replaced_convolution(spec: AttentionSpec, site: Site) -> nn.Module | None:
    """The convolution that an attention replaces; None if it replaces nothing."""
    if KINDS[spec.kind].kind.family is not Family.CONVOLUTION or dict(spec.options).get("start") == "identity":
        return None
    bias = site.convolution is not None and site.convolution.bias
    return nn.Conv2d(site.channels, site.channels, 3, padding=1, bias=bias)


def standalone(spec: AttentionSpec, site: Site, classes: int) -> tuple[nn.Module, list[tuple[int, ...]]]:
    """An attention's module by itself, and the shapes of its inputs for one image or clip.

    If the module goes around a block, it is given a stand-in for the block that costs nothing.

    Args:
        spec: the attention.
        site: where it stands.
        classes: K of the network.
    """
    kind = KINDS[spec.kind].kind
    module = attention_at(spec, site, classes)
    shapes: list[tuple[int, ...]] = [(site.frames, site.channels, site.height, site.width)]
    if kind.needs_gate and (gate := gate_shape(spec, site)) is not None:
        shapes.append((site.frames, *gate))
    if kind.family is Family.BLOCK and site.block_channels is not None:
        shapes = [(site.frames, site.block_channels, site.height, site.width)]
    if way_of(kind, module) is Way.AROUND:
        module = _Around(module, site.channels)
    return module, shapes


def alike(site: Site, spec: AttentionSpec) -> Site:
    """A site that represents all sites of equal sizes, at which an attention costs the same."""
    family = KINDS[spec.kind].kind.family
    return replace(
        site,
        location=Location(Stage.BOTTLENECK),
        block_channels=site.block_channels if family is Family.BLOCK else None,
        convolution=site.convolution if family is Family.CONVOLUTION else None,
    )


class _Around(nn.Module):
    """Calls a module with a second input: a function that costs nothing.

    Args:
        module: takes (x, function).
        channels: of the function's result.
    """

    def __init__(self, module: nn.Module, channels: int) -> None:
        super().__init__()
        self.module = module
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        attended: Tensor = self.module(x, lambda entering: entering[:, :1].expand(-1, self.channels, -1, -1))
        return attended
