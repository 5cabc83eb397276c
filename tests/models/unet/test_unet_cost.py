"""What the plain U-Net costs, by closed forms."""

from __future__ import annotations

import itertools

import pytest

from nas_attn.models.build import build_unet
from nas_attn.models.network import NORMS, UPSAMPLINGS, UNetConfig
from nas_attn.training.metrics import count_macs, count_parameters


def parameters(network: UNetConfig) -> int:
    base, depth = network.base_channels, network.depth
    tap = 4 if network.upsampling == "transpose" else 1
    encoder = [network.in_channels] + [base * 2**level for level in range(depth + 1)]
    total = 0
    for entering, leaving in itertools.pairwise(encoder):
        total += 9 * entering * leaving + 9 * leaving**2 + 2 * 2 * leaving
    for level in range(depth):
        width = base * 2**level
        total += 9 * 2 * width * width + 9 * width**2 + 2 * 2 * width
        total += tap * 2 * width * width + width
    return total + base * network.classes + network.classes


def macs(network: UNetConfig, height: int, width: int) -> int:
    base, depth = network.base_channels, network.depth
    tap = 4 if network.upsampling == "transpose" else 1
    pixels = [(height >> level) * (width >> level) for level in range(depth + 1)]
    total = base * network.classes * pixels[0]
    for level in range(depth + 1):
        channels = base * 2**level
        entering = network.in_channels if level == 0 else channels // 2
        total += 9 * (entering * channels + channels**2) * pixels[level]
        if level < depth:
            total += 9 * (2 * channels**2 + channels**2) * pixels[level]
            total += tap * 2 * channels * channels * pixels[level + 1]
    return total


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("depth", "height", "width"), [(2, 16, 24), (4, 37, 16), (5, 32, 32)])
def test_parameters_and_macs_are_those_of_the_closed_form(
    depth: int, height: int, width: int, norm: str, upsampling: str
) -> None:
    network = UNetConfig(3, 5, depth=depth, base_channels=6, norm=norm, upsampling=upsampling)
    net = build_unet(network, network.plain)
    assert count_parameters(net) == parameters(network)
    assert count_macs(net, (1, 3, height, width)) == macs(network, height, width)


def test_a_hand_worked_network_has_as_many_parameters_as_were_counted_by_hand() -> None:
    # depth 2, base 1, one channel in, two classes out.
    # blocks 1->1, 1->2, 2->4: 22 + 62 + 232; decoders 2->1, 4->2: 31 + 116; ups 2->1, 4->2: 9 + 34; head: 4.
    network = UNetConfig(1, 2, depth=2, base_channels=1)
    assert count_parameters(build_unet(network, network.plain)) == 22 + 62 + 232 + 31 + 116 + 9 + 34 + 4
