"""From a placement to a network: what is refused, what starts as the network itself, and that costs add up."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nas_attn.errors import NetworkError, SpaceError
from nas_attn.models.adapted import AdaptedNetwork, scores_of
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.build import attention_modules, build_network, build_unet
from nas_attn.models.described_network import DescribedNetwork, network_from_dict
from nas_attn.models.discovery import look_at
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.training import ModuleHooks, fresh_network
from nas_attn.training.evaluation import CostTable
from nas_attn.training.metrics import count_macs, count_parameters
from tests.models.discovery.test_sites import EVERY_NETWORK, installed

IDENTITY = (("start", "identity"),)

NETWORK = UNetConfig(1, 2, depth=2, base_channels=8)


@pytest.fixture
def described(small_unet: type[nn.Module]) -> DescribedNetwork:
    return look_at(AskedNetwork.parse("small_unet:SmallUNet"), 3, 3).network


def everywhere(network: DescribedNetwork, kind: str, options: tuple[tuple[str, str], ...] = ()) -> Placement:
    """A kind at all places, gates where they find a signal."""
    return Placement(
        tuple((site.location, AttentionSpec("gate" if site.gate else kind, options)) for site in network.found)
    )


@pytest.mark.parametrize("text", EVERY_NETWORK)
def test_a_network_of_any_family_keeps_its_contract(text: str, small_unet: type[nn.Module]) -> None:
    network = look_at(installed(text), 3, 2).network
    plain, attended = network.plain, everywhere(network, "se", IDENTITY)
    alone, with_attention = (fresh_network(network, one, seed=1).eval() for one in (plain, attended))
    side = network.least_size
    images = torch.randn(2, 3, side + 3, 2 * side, generator=torch.Generator().manual_seed(0))
    whole = torch.nn.functional.pad(images, (0, 0, 0, -images.shape[2] % network.divisor), mode="replicate")
    with torch.no_grad():
        theirs = scores_of(alone.network(whole), network.asked.output)
        assert torch.equal(alone(images), theirs[:, :, : images.shape[2]])
        assert torch.equal(with_attention(images), alone(images))
    keys = [name for name in with_attention.state_dict() if ".nas_attention." not in name]
    assert keys == list(alone.state_dict())

    again = fresh_network(network, attended, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), with_attention.parameters(), strict=True))

    costs = CostTable(network, side, 2 * side)
    cost, shape = costs(attended), (1, 3, side, 2 * side)
    assert (cost.parameters, cost.macs) == (count_parameters(with_attention), count_macs(with_attention, shape))

    hooks = ModuleHooks(with_attention.train(), steps=1, seed=0)
    hooks.loss(with_attention(torch.cat([whole, whole])), torch.ones(4, *whole.shape[2:]).long()).backward()
    scales = [p.grad for name, p in with_attention.named_parameters() if name.endswith("paced_alpha")]
    assert len(scales) == len(network.found)
    assert all(gradient is not None for gradient in scales)


def test_a_description_reads_back(described: DescribedNetwork) -> None:
    assert network_from_dict(described.to_dict()) == described


def test_code_that_has_changed_is_not_searched_on(described: DescribedNetwork) -> None:
    changed = replace(described, keys="0" * 16)
    with pytest.raises(NetworkError, match="its parameters have changed since"):
        build_network(changed, changed.plain)


def test_what_cannot_stand_in_it_is_told_for_all_places(described: DescribedNetwork) -> None:
    placement = described.plain.replace(Location.parse("skip.0"), AttentionSpec("dcn"))
    placement = placement.replace(Location.parse("encoder.1"), AttentionSpec("gate"))
    with pytest.raises(SpaceError) as caught:
        build_network(described, placement)
    assert [line.partition(":")[0] for line in caught.value.problems] == ["encoder.1", "skip.0"]
    assert "dcn takes a convolution's place, and skip.0 has no 3x3 convolution of 8" in caught.value.problems[1]


def test_attention_is_found_by_location(described: DescribedNetwork) -> None:
    module = build_network(described, everywhere(described, "eca"))
    assert set(attention_modules(module)) == {str(location) for location in described.locations}


class Gives(nn.Module):
    def __init__(self, given: object) -> None:
        super().__init__()
        self.given = given

    def forward(self, x: Tensor) -> object:
        return self.given


SCORES = torch.arange(8.0).view(1, 2, 2, 2)


@pytest.mark.parametrize(
    ("given", "output"),
    [
        (SCORES, ""), ({"out": SCORES, "aux": None}, ""), ({"aux": None, "logits": SCORES}, "logits"),
        ([SCORES, None], ""), ((None, SCORES), "1"),
    ],
)  # fmt: skip
def test_scores_are_found_in_what_a_network_gives(given: object, output: str) -> None:
    assert torch.equal(AdaptedNetwork(Gives(given), 2, 1, output)(torch.zeros(1, 3, 2, 2)), SCORES)


def test_a_single_score_is_that_of_the_second_class() -> None:
    score = torch.tensor([[[[-1.5, 0.3]]]])
    logits = AdaptedNetwork(Gives(score), 2, 1)(torch.zeros(1, 3, 1, 2))
    torch.testing.assert_close(logits.softmax(1)[:, 1:], score.sigmoid())


def test_coarse_scores_are_brought_to_the_images_size() -> None:
    logits = AdaptedNetwork(Gives(torch.ones(1, 2, 2, 2)), 2, 4)(torch.zeros(1, 3, 5, 8))
    assert logits.shape == (1, 2, 5, 8)


@pytest.mark.parametrize(
    ("given", "output", "problem"),
    [
        ({"a": SCORES}, "b", "gives a and no 'b'; set output to one"),
        ([SCORES], "2", "gives 1 things; output: 2 must be one of their numbers"),
        (None, "", "gives NoneType where class scores were expected"),
    ],
)
def test_scores_that_are_not_there_are_told(given: object, output: str, problem: str) -> None:
    with pytest.raises(NetworkError, match=problem):
        scores_of(given, output)


@pytest.mark.parametrize(
    ("train", "learning"),
    [
        ("attention+head", {"head", "nas_attention"}),
        ("decoder+attention", {"dec", "up", "middle", "head", "nas_attention"}),
    ],
)
def test_only_what_shall_learn_does(described: DescribedNetwork, train: str, learning: set[str]) -> None:
    network = replace(described, asked=replace(described.asked, train=train))
    module = fresh_network(network, everywhere(network, "se"), seed=0)
    names = {name.split(".")[1].rstrip("012") for name, one in module.named_parameters() if one.requires_grad}
    assert names == learning


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
        "skip.1: missing from the placement; write none for no attention",
    )


@pytest.mark.parametrize("spec", ["se", "none"])
def test_a_location_that_the_network_does_not_have_is_named(spec: str) -> None:
    foreign = Placement.from_dict({**NETWORK.plain.to_dict(), "decoder.2": spec})
    assert problems(foreign) == ("decoder.2: the network has no such location; did you mean 'decoder.1'?",)


@pytest.mark.parametrize("place", ["encoder.1", "bottleneck"])
def test_a_gate_is_refused_where_no_gating_signal_exists(place: str) -> None:
    assert problems(with_(place, "gate")) == (
        f"{place}: gate can be placed at skip | decoder only, because it needs the decoder feature that enters a "
        "level",
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
