"""The shape of a U-Net, computed."""

from __future__ import annotations

import pytest

from nas_attn.errors import NetworkError
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, Location, Site, Stage


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_a_network_has_three_locations_for_each_level_and_a_bottleneck(depth: int) -> None:
    network = UNetConfig(3, 2, depth=depth)
    assert len(network.locations) == 3 * depth + 1
    assert list(network.locations) == sorted(network.locations)
    assert dict(network.plain) == dict.fromkeys(network.locations, NONE)


def test_the_sites_of_a_hand_worked_network() -> None:
    network = UNetConfig(1, 2, depth=2, base_channels=5)
    assert network.sites(13, 8) == (
        Site(Location(Stage.ENCODER, 0), 5, 13, 8, block_channels=1),
        Site(Location(Stage.ENCODER, 1), 10, 6, 4, block_channels=5),
        Site(Location(Stage.BOTTLENECK), 20, 3, 2, block_channels=10),
        Site(Location(Stage.SKIP, 0), 5, 13, 8, gate_channels=10, up_channels=5),
        Site(Location(Stage.SKIP, 1), 10, 6, 4, gate_channels=20, up_channels=10),
        Site(Location(Stage.DECODER, 0), 5, 13, 8, gate_channels=10, block_channels=10, up_channels=5),
        Site(Location(Stage.DECODER, 1), 10, 6, 4, gate_channels=20, block_channels=20, up_channels=10),
    )


@pytest.mark.parametrize(("height", "width"), [(7, 64), (64, 7), (0, 0)])
def test_an_image_too_small_for_the_depth_is_refused(height: int, width: int) -> None:
    network = UNetConfig(1, 2, depth=3)
    assert network.sites(8, 8)[3].positions == 1
    with pytest.raises(
        NetworkError, match=f"{height}x{width} pixels is too small for a depth of 3; both sides must be at least 8"
    ):
        network.sites(height, width)


@pytest.mark.parametrize(("frames", "name"), [(1, "image"), (4, "clip of 4 frames")])
def test_what_goes_through_at_once_has_a_name(frames: int, name: str) -> None:
    assert UNetConfig(1, 2, frames=frames).input_name == name


def test_all_wrong_fields_are_named_together() -> None:
    with pytest.raises(NetworkError) as caught:
        UNetConfig(0, 1, depth=6, base_channels=True, norm="layer", upsampling="nearest")
    assert caught.value.problems == (
        "in_channels: 0 must be a whole number from 1 to 65536",
        "classes: 1 must be a whole number from 2 to 65536",
        "depth: 6 must be a whole number from 2 to 5",
        "base_channels: true must be a whole number from 1 to 65536",
        "norm: 'layer' must be batch | group | instance",
        "upsampling: 'nearest' must be transpose | bilinear",
    )
