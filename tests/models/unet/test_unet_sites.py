"""The sizes that a network computes for its locations against the tensors that come by there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nas_attn.models.network import UPSAMPLINGS, UNetConfig
from nas_attn.models.placement import Location, Site, Stage
from nas_attn.models.unet import UNet


class Recorder(nn.Module):
    """Note the shapes that come by and let them pass."""

    def __init__(self) -> None:
        super().__init__()
        self.feature: tuple[int, ...] = ()
        self.gate: tuple[int, ...] | None = None

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        self.feature, self.gate = tuple(x.shape), None if gate is None else tuple(gate.shape)
        return x


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize(
    ("depth", "height", "width"),
    [(2, 4, 4), (2, 7, 13), (3, 24, 16), (3, 15, 8), (4, 33, 17), (4, 16, 31), (5, 63, 32)],
)
def test_every_site_has_the_shape_that_comes_by(depth: int, height: int, width: int, upsampling: str) -> None:
    network = UNetConfig(1, 2, depth=depth, base_channels=2, upsampling=upsampling)
    recorders = {location: Recorder() for location in network.locations}
    net = UNet(
        1,
        2,
        depth,
        2,
        upsampling=upsampling,
        attention={str(location): recorder for location, recorder in recorders.items()},
        gated=[str(site.location) for site in network.sites(height, width) if site.gate_channels],
    ).eval()
    with torch.no_grad():
        logits = net(torch.zeros(1, 1, height, width))
    assert logits.shape == (1, 2, height, width)
    measured = tuple(site(net, location, recorder) for location, recorder in recorders.items())
    assert measured == tuple(replace(known, up_channels=None) for known in network.sites(height, width))
    for known in network.sites(height, width):
        up = net.up[known.location.level].conv.out_channels if known.gate_channels else None
        assert known.up_channels == up
    for recorder in recorders.values():
        if recorder.gate is not None:
            assert recorder.gate[-2:] == (recorder.feature[-2] // 2, recorder.feature[-1] // 2)


def site(net: UNet, location: Location, recorder: Recorder) -> Site:
    _, channels, height, width = recorder.feature
    gate_channels = None if recorder.gate is None else recorder.gate[1]
    if location.stage is Stage.SKIP:
        return Site(location, channels, height, width, gate_channels)
    block_channels = net.get_submodule(f"{location}.conv1").in_channels
    return Site(location, channels, height, width, gate_channels, block_channels)
