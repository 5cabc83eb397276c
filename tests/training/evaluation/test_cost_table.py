"""The sums of the cost table are the counts of the whole network."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.space import SearchSpace, read_space
from nas_attn.training.evaluation import CostTable
from nas_attn.training.metrics import count_macs, count_parameters


def whole(network: UNetConfig, placement: Placement, height: int, width: int) -> tuple[int, int]:
    with torch.device("meta"):
        module = build_unet(network, placement)
    return count_parameters(module), count_macs(module, (network.frames, network.in_channels, height, width))


def summed(network: UNetConfig, placement: Placement, height: int, width: int) -> tuple[int, int]:
    cost = CostTable(network, height, width)(placement)
    return cost.parameters, cost.macs


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return read_space("unet_attention", catalogue(), base_channels=4, image_size=32)


@settings(max_examples=8)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(8, 29),
    width=st.integers(8, 29),
    upsampling=st.sampled_from(["transpose", "bilinear"]),
    norm=st.sampled_from(["batch", "group"]),
)
def test_sums_over_locations_are_the_counts_of_the_whole_network(
    seed: int, height: int, width: int, upsampling: str, norm: str
) -> None:
    network = UNetConfig(3, 2, depth=2, base_channels=4, norm=norm, upsampling=upsampling, frames=2)
    placement = drawn(network, random.Random(seed))

    assert summed(network, placement, height, width) == whole(network, placement, height, width)


def drawn(network: UNetConfig, generator: random.Random) -> Placement:
    """Any kind wherever it may stand, the gate in both of its variants."""
    kinds = catalogue()

    def spec(place: Location) -> AttentionSpec:
        kind = generator.choice([name for name in kinds if place.stage in kinds[name].stages])
        variant = generator.choice(["gate", "gate(variant=oktay)"])
        return AttentionSpec.parse(variant if kind == "gate" else kind)

    return Placement(tuple((place, spec(place)) for place in network.locations))


def test_a_placement_of_the_shipped_space_is_summed_exactly(space: SearchSpace) -> None:
    placement = space.sample(random.Random(4))

    assert summed(space.network, placement, 33, 47) == whole(space.network, placement, 33, 47)


@pytest.mark.parametrize("text", [*(kind for kind in catalogue() if kind != "none"), "gate(variant=oktay)"])
def test_each_kind_everywhere_it_may_stand_is_summed_exactly(text: str) -> None:
    network = UNetConfig(1, 3, depth=2, base_channels=8, frames=3)
    spec = AttentionSpec.parse(text)
    stages = catalogue()[spec.kind].stages
    placement = Placement(
        tuple((place, spec if place.stage in stages else AttentionSpec("none")) for place in network.locations)
    )

    assert summed(network, placement, 21, 18) == whole(network, placement, 21, 18)


def test_a_gate_is_counted_with_the_channels_of_its_signal() -> None:
    network = UNetConfig(3, 2, depth=2, base_channels=4)
    table = CostTable(network, 20, 20)
    gate = AttentionSpec("gate")

    skip, decoder = (table.increment(Location.parse(place), gate) for place in ("skip.1", "decoder.1"))
    assert skip == decoder
    assert table.increment(Location.parse("skip.0"), gate) != skip


def test_options_are_counted(space: SearchSpace) -> None:
    table = CostTable(space.network, 32, 32)
    place = Location.parse("decoder.3")
    few, many = (table.increment(place, AttentionSpec("se", (("reduction", r),)))[0] for r in (16, 2))

    assert few < many


def test_the_plain_unet_adds_nothing(space: SearchSpace) -> None:
    table = CostTable(space.network, 32, 32)

    assert table(space.plain) == table.plain
    assert (table.plain.latency_ms, table.plain.peak_memory_mib, table.plain.device) == (None, None, "")
