"""From a placement to a network: what is refused, and what stays the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_attn.errors import SpaceError
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.models.unet import build_unet

NETWORK = UNetConfig(1, 2, depth=2, base_channels=8)


def problems(placement: Placement) -> tuple[str, ...]:
    with pytest.raises(SpaceError) as caught:
        build_unet(NETWORK, placement)
    return caught.value.problems


def with_(place: str, spec: str) -> Placement:
    return NETWORK.plain.replace(Location.parse(place), AttentionSpec.parse(spec))


def test_a_missing_location_is_named() -> None:
    texts = NETWORK.plain.to_dict()
    del texts["skip.1"]
    assert problems(Placement.from_dict(texts)) == (
        "skip.1: the placement says nothing about it; write none for no attention",
    )


@pytest.mark.parametrize("spec", ["se", "none"])
def test_a_location_that_the_network_does_not_have_is_named(spec: str) -> None:
    foreign = Placement.from_dict({**NETWORK.plain.to_dict(), "decoder.2": spec})
    assert problems(foreign) == ("decoder.2: the network has no such location; did you mean 'decoder.1'?",)


@pytest.mark.parametrize("place", ["encoder.1", "bottleneck"])
def test_a_gate_is_refused_where_no_gating_signal_exists(place: str) -> None:
    assert problems(with_(place, "gate")) == (
        f"{place}: gate may stand at skip | decoder only, for it needs the decoder feature that enters a level",
    )


def test_an_unknown_kind_is_refused_with_the_nearest_one() -> None:
    assert problems(with_("skip.0", "cbm")) == ("skip.0: unknown attention 'cbm'; did you mean 'cbam'?",)


def test_a_wrong_option_is_refused_with_what_is_allowed() -> None:
    assert problems(with_("skip.0", "se(reduction=0)")) == (
        "skip.0: se: reduction is 0; it must be a whole number of at least 1",
    )


def test_all_problems_are_named_at_once() -> None:
    placement = Placement.from_dict(
        {"encoder.0": "gate", "encoder.1": "sa", "skip.7": "se", "skip.0": "se(x=1, y=2)"}
    )
    places = [problem.partition(":")[0] for problem in problems(placement)]
    missing, foreign, wrong = places[:4], places[4:5], places[5:]
    assert missing == ["bottleneck", "skip.1", "decoder.0", "decoder.1"]
    assert foreign == ["skip.7"]
    assert wrong == ["encoder.0", "encoder.1", "skip.0", "skip.0"]


def test_the_backbone_has_the_same_names_and_shapes_whatever_stands_where() -> None:
    plain = build_unet(NETWORK, NETWORK.plain).state_dict()
    full = build_unet(NETWORK, Placement(tuple((place, AttentionSpec("cbam")) for place in NETWORK.locations)))
    backbone = {name: value for name, value in full.state_dict().items() if not name.startswith("attention.")}
    assert {name: value.shape for name, value in backbone.items()} == {
        name: value.shape for name, value in plain.items()
    }
    assert {name.split(".")[1] for name in full.state_dict() if name.startswith("attention.")} == {
        str(place).replace(".", "_") for place in NETWORK.locations
    }


def test_whatever_owns_parameters_can_be_initialised_anew() -> None:
    net = build_unet(NETWORK, with_("skip.0", "gate"))
    for name, child in net.named_modules():
        if list(child.parameters(recurse=False)):
            assert callable(getattr(child, "reset_parameters", None)), name


def test_attention_sees_the_channels_of_its_location() -> None:
    net = build_unet(NETWORK, Placement(tuple((place, AttentionSpec("eca")) for place in NETWORK.locations)))
    widths = {}
    for place in NETWORK.locations:
        module = net.attention[str(place).replace(".", "_")]
        assert isinstance(module, nn.Module)
        module.register_forward_pre_hook(
            lambda _, inputs, place=place: widths.update({str(place): inputs[0].shape[1]})
        )
    net.eval()(torch.zeros(1, 1, 8, 8))
    assert widths == {
        "encoder.0": 8,
        "encoder.1": 16,
        "bottleneck": 32,
        "skip.0": 8,
        "skip.1": 16,
        "decoder.0": 8,
        "decoder.1": 16,
    }
