"""Every registered attention holds its own at every stage where it may stand, alone and in company."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from nas_attn.errors import SpaceError
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.kind import Family
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement, Stage
from nas_attn.record import Cost
from nas_attn.training import ModuleHooks
from nas_attn.training.evaluation import CostTable
from nas_attn.training.metrics import count_macs, count_parameters

KINDS = catalogue()
STARTS = {"paper": (), "identity": (("start", "identity"),)}
NETWORK = UNetConfig(2, 3, depth=2, base_channels=8)
SIZE, FRAMES = (21, 26), 2
STANDS = [
    pytest.param(
        name,
        stage,
        start,
        id=f"{name}-{stage}-{start}",
        marks=pytest.mark.slow if start != "paper" and stage is not kind.stages[-1] else (),
    )
    for name, kind in KINDS.items()
    for stage in kind.stages
    for start in (STARTS if name != "none" else ["paper"])
]
"""Each kind at every stage, and with its second start at the last of them; the others are slow."""


def network(name: str) -> UNetConfig:
    """Of still images, or of clips where the kind needs them."""
    return replace(NETWORK, frames=FRAMES) if KINDS[name].needs_clip else NETWORK


def everywhere(name: str, stage: Stage, start: str) -> Placement:
    """A kind at all locations of a stage."""
    spec = AttentionSpec(name, STARTS[start])
    return Placement(tuple((place, spec if place.stage is stage else NONE) for place in NETWORK.locations))


def images(number: int = 2) -> torch.Tensor:
    return torch.randn(number, 2, *SIZE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "stage", "start"), STANDS)
def test_the_logits_have_the_size_of_the_images_and_every_parameter_has_a_gradient(
    name: str, stage: Stage, start: str
) -> None:
    net = build_unet(network(name), everywhere(name, stage, start))
    logits = net(images())
    masks = torch.zeros(2, *SIZE, dtype=torch.uint8)
    (logits.square().mean() + ModuleHooks(net, 1, 0).loss(logits, masks)).backward()
    assert logits.shape == (2, 3, *SIZE)
    assert logits.isfinite().all()
    for parameter_name, parameter in net.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize(
    ("dtype", "share"), [(torch.bfloat16, 0.05), (torch.float16, 0.01)], ids=["bfloat16", "float16"]
)
@pytest.mark.parametrize(("name", "stage", "start"), STANDS)
def test_half_precision_stays_near_float32(
    name: str, stage: Stage, start: str, dtype: torch.dtype, share: float
) -> None:
    torch.manual_seed(0)
    net = build_unet(network(name), everywhere(name, stage, start)).to(dtype).eval()
    logits, exact = net(images().to(dtype)), copy.deepcopy(net).float()(images().to(dtype).float())
    assert logits.dtype == dtype
    assert (logits.float() - exact).norm() < share * exact.norm()


@pytest.mark.parametrize(("name", "stage", "start"), STANDS)
def test_a_state_can_be_carried_to_another_network_of_the_same_placement(
    name: str, stage: Stage, start: str
) -> None:
    placement = everywhere(name, stage, start)
    net = build_unet(network(name), placement)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.rand_like(parameter) * 0.1)
        net(images())
        net.eval()
        other = build_unet(network(name), Placement.from_dict(placement.to_dict())).eval()
        other.load_state_dict(net.state_dict())
        logits = net(images(network(name).frames))
        assert torch.equal(net(images(network(name).frames)), logits), "evaluation is not repeatable"
        assert torch.equal(other(images(network(name).frames)), logits)
        assert torch.equal(copy.deepcopy(net)(images(network(name).frames)), logits)


@cache
def plain_macs(shape: tuple[int, ...]) -> int:
    return count_macs(build_unet(NETWORK, NETWORK.plain), shape)


@pytest.mark.parametrize(("name", "stage", "start"), STANDS)
def test_a_kind_costs_what_it_adds_and_none_costs_nothing(name: str, stage: Stage, start: str) -> None:
    plain = build_unet(NETWORK, NETWORK.plain)
    net = build_unet(network(name), everywhere(name, stage, start))
    added = count_parameters(net) - count_parameters(plain)
    instead = KINDS[name].family is Family.CONVOLUTION and start == "paper"
    replaced = [9 * place.channels**2 for place in NETWORK.sites(*SIZE) if place.location.stage is stage]
    assert added == count_parameters(net.attention) - instead * sum(replaced)
    shape = (network(name).frames, 2, *SIZE)
    if name == "none":
        assert (added, count_macs(net, shape)) == (0, plain_macs(shape))
        assert net.state_dict().keys() == plain.state_dict().keys()
    elif not instead:
        assert count_macs(net, shape) >= plain_macs(shape)


@pytest.mark.parametrize("name", [name for name in KINDS if name != "none"])
def test_identity_start_gives_the_logits_of_the_plain_network(name: str) -> None:
    for stage in KINDS[name].stages:
        net = build_unet(network(name), everywhere(name, stage, "identity")).eval()
        plain = build_unet(NETWORK, NETWORK.plain).eval()
        plain.load_state_dict({key: value for key, value in net.state_dict().items() if "attention" not in key})
        with torch.no_grad():
            torch.testing.assert_close(
                net(images(network(name).frames)), plain(images(network(name).frames)), rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.stages != tuple(Stage)])
def test_a_stage_where_a_kind_may_not_stand_is_refused(name: str) -> None:
    for stage in set(Stage) - set(KINDS[name].stages):
        with pytest.raises(SpaceError, match=rf"{stage}.*: {name} can be placed at .* only"):
            build_unet(network(name), everywhere(name, stage, "paper"))


def specs_at(location: Location, frames: int) -> st.SearchStrategy[AttentionSpec]:
    """Any kind that may stand there, with either start."""
    fitting = [name for name, kind in KINDS.items() if frames > 1 or not kind.needs_clip]
    allowed = [name for name in fitting if location.stage in KINDS[name].stages]
    return st.sampled_from(allowed).flatmap(
        lambda name: (
            st.just(NONE)
            if name == "none"
            else st.sampled_from([AttentionSpec(name, options) for options in STARTS.values()])
        )
    )


def placements(network: UNetConfig) -> st.SearchStrategy[Placement]:
    """Any placement of a network."""
    pairs = (st.tuples(st.just(place), specs_at(place, network.frames)) for place in network.locations)
    return st.tuples(*pairs).map(Placement)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.needs_clip])
def test_a_kind_that_needs_clips_is_refused_in_a_network_of_still_images(name: str) -> None:
    with pytest.raises(SpaceError, match=rf"^skip.0: {name} looks at the frames of a clip together"):
        build_unet(NETWORK, everywhere(name, Stage.SKIP, "paper"))


@given(st.data())
@settings(max_examples=20)
def test_any_placement_can_be_built_costs_the_sum_of_its_parts_and_segments(data: st.DataObject) -> None:
    norm = data.draw(st.sampled_from(["batch", "group", "instance"]), "norm")
    upsampling = data.draw(st.sampled_from(["transpose", "bilinear"]), "upsampling")
    frames = data.draw(st.sampled_from([1, FRAMES]), "frames")
    network = UNetConfig(2, 3, depth=2, base_channels=8, norm=norm, upsampling=upsampling, frames=frames)
    placement = data.draw(placements(network), "placement")
    height, width = data.draw(st.sampled_from([(9, 14), (16, 11)]), "size")
    net = build_unet(network, placement)
    logits = net(torch.randn(2, 2, height, width))
    assert logits.shape == (2, 3, height, width)
    assert logits.isfinite().all()
    counted = Cost(count_parameters(net), count_macs(net, (frames, 2, height, width)))
    assert CostTable(network, height, width)(placement) == counted
