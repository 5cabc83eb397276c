"""Kinds that replace a convolution or go around a block, in networks that are not nas-attn's own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from nas_attn.architecture import Architecture
from nas_attn.errors import NetworkError, SpaceError
from nas_attn.export.insertion import insert_architecture, remove_attention
from nas_attn.export.subject import Subject
from nas_attn.models.adapted import AdaptedNetwork
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.build import build_network
from nas_attn.models.catalogue import catalogue
from nas_attn.models.described_network import DescribedNetwork, network_from_dict
from nas_attn.models.discovery import build_fresh, look_at
from nas_attn.models.discovery.describe import locate, on_meta
from nas_attn.models.insertion import Place, insert_modules
from nas_attn.models.kind import Family
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.training import ModuleHooks, fresh_network
from nas_attn.training.evaluation import CostTable
from nas_attn.training.metrics import count_macs, count_parameters
from tests.models.discovery.test_sites import installed

CONVOLUTIONS = [name for name, kind in catalogue().items() if kind.family is Family.CONVOLUTION]
BLOCKS = [name for name, kind in catalogue().items() if kind.family is Family.BLOCK]
OURS = "small_unet:SmallUNet"
TEXTS = (OURS, "smp:Unet/resnet18", "monai:BasicUNet", "nnunet:PlainConvUNet")
"""The stranger's file of the examples, and a network of each library."""


def look(text: str) -> DescribedNetwork:
    return look_at(AskedNetwork.parse(text) if text == OURS else installed(text), 3, 2).network


@pytest.fixture
def described(small_unet: type[nn.Module]) -> DescribedNetwork:
    return look(OURS)


def replacing(network: DescribedNetwork, start: str = "neutral") -> Placement:
    """The kinds that replace or wrap something, each at a place of its own, as far as there are parts for them."""
    options = () if start == "neutral" else (("start", start),)
    waiting: dict[str, Iterator[str]] = {"convolution": iter(CONVOLUTIONS), "block": iter(BLOCKS)}
    placement, order = network.plain, ("convolution", "block", "convolution", "convolution")
    parted = [site for site in network.found if site.convolution and site.block]
    for number, site in enumerate(parted):
        kind = next(waiting[order[number % len(order)]], None)
        if kind is not None:
            own = () if catalogue()[kind].starts_as_identity else options
            placement = placement.replace(site.location, AttentionSpec(kind, own))
    return placement


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OURS, {"encoder.0": ("enc0.3", False, "enc0", 3), "decoder.0": ("dec0.3", False, "dec0", 16)}),
        (
            "smp:Unet/resnet18",
            {
                "encoder.1": ("", False, "", 0),  # of 7x7, and strided
                "encoder.2": ("encoder.layer1.1.conv2", False, "encoder.layer1", 64),
                "encoder.3": ("encoder.layer2.1.conv2", False, "encoder.layer2.1", 128),  # layer2 halves the map
                "decoder.4": ("decoder.blocks.0.conv2.0", False, "decoder.blocks.0.conv2", 256),
            },
        ),
        (
            "smp:Unet/mobilenet_v2",
            {"encoder.2": ("", False, "encoder.features.3", 24)},  # its convolutions are 1x1 or depthwise
        ),
        ("monai:BasicUNet", {"bottleneck": ("down_4.convs.conv_1.conv", True, "down_4.convs", 128)}),
        (
            "nnunet:PlainConvUNet",
            {"encoder.1": ("encoder.stages.1.0.convs.1.conv", True, "encoder.stages.1.0.convs.1", 64)},
        ),
    ],
)
def test_the_parts_of_known_networks(
    text: str, expected: dict[str, tuple[str, bool, str, int]], small_unet: type[nn.Module]
) -> None:
    network = look(text)
    seen = {
        str(site.location): (site.convolution, site.convolution_bias, site.block, site.block_channels)
        for site in network.found
    }
    assert {location: seen[location] for location in expected} == expected
    assert all(parts == ("", False, "", 0) for location, parts in seen.items() if location.startswith("skip"))
    assert network_from_dict(network.to_dict()) == network


@pytest.mark.parametrize("text", TEXTS)
def test_from_the_identity_it_is_the_users_network_to_the_bit(text: str, small_unet: type[nn.Module]) -> None:
    network = look(text)
    placement = replacing(network, "identity")
    kept = [
        spec for _, spec in placement.attended if spec.kind != "stn"
    ]  # which turns maps by nothing, and rounds
    placement = Placement(tuple((at, spec if spec in kept else network.plain[at]) for at, spec in placement))
    alone, attended = (fresh_network(network, one, seed=1).eval() for one in (network.plain, placement))
    images = torch.randn(2, 3, network.least_size, 2 * network.least_size)
    with torch.no_grad():
        assert torch.equal(attended(images), alone(images))
    assert len(kept) >= 4


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("start", ["neutral", "identity"])
def test_the_contract_holds_where_parts_are_replaced(text: str, start: str, small_unet: type[nn.Module]) -> None:
    network = look(text)
    placement = replacing(network, start)
    plain, module = (fresh_network(network, one, seed=1) for one in (network.plain, placement))
    keys = [name for name in module.state_dict() if ".nas_attention." not in name]
    assert keys == list(plain.state_dict())
    weights = plain.state_dict()
    assert all(torch.equal(module.state_dict()[name], weights[name]) for name in keys)

    again = fresh_network(network, placement, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), module.parameters(), strict=True))

    side = network.least_size
    cost, shape = CostTable(network, side, 2 * side)(placement), (1, 3, side, 2 * side)
    assert (cost.parameters, cost.macs) == (count_parameters(module), count_macs(module, shape))
    if start == "neutral":  # what is replaced is not computed, and no parameter
        idle = {
            f"network.{site.convolution}.weight" for site in network.found if _replaced(placement, site.location)
        }
        assert idle
        assert not idle & {name for name, _ in module.named_parameters()}

    hooks = ModuleHooks(module.train(), steps=1, seed=0)
    images = torch.randn(2, 3, 2 * side, 2 * side, generator=torch.Generator().manual_seed(0))
    hooks.loss(module(images), torch.ones(2, 2 * side, 2 * side).long()).backward()
    unreached = [name for name, parameter in module.named_parameters() if parameter.grad is None]
    assert unreached == [name for name in unreached if "deep_supervision" in name or "seg_layers" in name]


def _replaced(placement: Placement, location: Location) -> bool:
    return catalogue()[placement[location].kind].family is Family.CONVOLUTION


def subject(network: DescribedNetwork, placement: Placement, side: int = 0) -> Subject:
    size = side or 2 * network.least_size
    return Subject(Architecture(network, placement, ("ground", "cell"), (0.0,) * 3, (1.0,) * 3, size))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("start", ["neutral", "identity"])
def test_the_user_gets_the_network_back_to_the_bit(text: str, start: str, small_unet: type[nn.Module]) -> None:
    network = look(text)
    placement = replacing(network, start)
    model = build_fresh(network.asked, 3, 2, seed=3).eval()
    parameters = dict(model.named_parameters())
    before, keys = copy.deepcopy(model), list(model.state_dict())
    images = torch.randn(1, 3, network.least_size, network.least_size)
    insert_architecture(model, subject(network, placement), seed=0)
    with torch.no_grad():
        attended = model(images)
        if start == "neutral":
            assert not torch.equal(_scores(attended), _scores(before(images)))
        # The user's own checkpoint still loads, with strict=False for the attention's sake.
        loaded = model.load_state_dict(before.state_dict(), strict=False)
        assert loaded.unexpected_keys == []
        assert all(name.startswith("nas_attention.") for name in loaded.missing_keys)
        remove_attention(model)
        assert list(model.state_dict()) == keys
        assert torch.equal(_scores(model(images)), _scores(before(images)))
    assert all(parameter is parameters[name] for name, parameter in model.named_parameters())  # as optimisers know
    assert all("forward" not in vars(module) for module in model.modules())


def _scores(given: object) -> Tensor:
    found = given[0] if isinstance(given, list | tuple) else given
    assert isinstance(found, Tensor)
    return found


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_a_copy_has_attention_and_parts_of_its_own(described: DescribedNetwork, copied) -> None:  # type: ignore[no-untyped-def]
    original = build_network(described, replacing(described)).eval()
    other = copied(original)
    images = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        expected = original(images)
        for parameter in original.parameters():
            parameter.zero_()
        assert torch.equal(other(images), expected)
        remove_attention(other.network)
        plain = build_network(described, described.plain).eval()
        assert torch.equal(other(images), plain(images))
    assert list(other.network.state_dict()) == list(plain.network.state_dict())


def test_what_is_replaced_moves_and_is_kept_as_everything_else(described: DescribedNetwork) -> None:
    placement = described.plain.replace(Location.parse("encoder.1"), AttentionSpec("dcn"))
    module = build_network(described, placement)
    trained = {
        name: torch.full_like(one, 0.5) for name, one in module.state_dict().items() if one.is_floating_point()
    }
    module.load_state_dict(trained, strict=False)
    module.to(torch.float64)
    assert isinstance(module, AdaptedNetwork)
    remove_attention(module.network)
    weight = module.network.get_parameter("enc1.3.weight")
    assert weight.dtype is torch.float64
    assert weight.requires_grad
    assert (weight == 0.5).all()


def test_a_step_of_an_optimiser_leaves_what_is_replaced_alone(described: DescribedNetwork) -> None:
    placement = described.plain.replace(Location.parse("encoder.1"), AttentionSpec("highway"))
    module = build_network(described, placement)
    before = module.state_dict()["network.enc1.3.weight"].clone()
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.5)
    module(torch.randn(2, 3, 16, 16)).sum().backward()
    optimiser.step()
    assert torch.equal(module.state_dict()["network.enc1.3.weight"], before)


def test_around_a_block_both_learn(described: DescribedNetwork) -> None:
    placement = described.plain.replace(Location.parse("bottleneck"), AttentionSpec("ran"))
    module = build_network(described, placement)
    module(torch.randn(2, 3, 32, 32)).square().sum().backward()
    gradients = {name: one.grad for name, one in module.named_parameters() if "middle" in name or "bottl" in name}
    assert len(gradients) > 6
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients.values())


def test_what_has_no_part_in_the_network_is_told() -> None:
    network = look("smp:Unet/mobilenet_v2")
    placement = network.plain.replace(Location.parse("encoder.2"), AttentionSpec("dcn"))
    placement = placement.replace(Location.parse("bottleneck"), AttentionSpec("ran"))
    with pytest.raises(SpaceError) as caught:
        build_network(network, placement)
    assert caught.value.problems == (
        "encoder.2: dcn takes a convolution's place, and encoder.2 has no 3x3 convolution of 24 to 24 channels in "
        "this network",
        "bottleneck: ran goes around a block, and bottleneck has no block that keeps the size of its map in this "
        "network",
    )


def test_a_network_whose_part_is_another_is_refused(described: DescribedNetwork) -> None:
    model = build_fresh(described.asked, 3, 2, seed=0)
    model.enc1[3] = nn.Conv2d(16, 16, 3, padding=1, bias=True)
    placement = described.plain.replace(Location.parse("encoder.1"), AttentionSpec("sk"))
    with pytest.raises(
        NetworkError, match=r"encoder.1: enc1.3 or enc1 is not there, or not as it was in small_unet"
    ):
        insert_architecture(model, subject(described, placement), seed=0)
    at_another = described.plain.replace(Location.parse("encoder.2"), AttentionSpec("sk"))
    insert_architecture(model, subject(described, at_another), seed=0)


class Odd(nn.Module):
    """In all ways but ``plain`` nothing can stand in for its convolution."""

    def __init__(self, way: str) -> None:
        super().__init__()

        def conv(cin: int, cout: int) -> nn.Module:
            return nn.Conv2d(cin, cout, 3, padding=1, padding_mode="circular" if way == "circular" else "zeros")

        self.way = way
        self.enter, self.deep = nn.Conv2d(3, 4, 1), conv(4, 4)
        self.pool, self.low = nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)
        if way == "normalised":
            self.deep = nn.utils.parametrizations.weight_norm(self.deep)
        self.twin = nn.Conv2d(4, 4, 3, padding=1)
        if way == "shared":
            self.twin.weight = self.deep.weight
        self.up, self.merge, self.head = nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(8, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        skip = self.deep(input=x) if self.way == "by name" else self.deep(x)
        deep = self.low(self.pool(skip))
        if self.way == "shared":
            deep = self.twin(deep)
        return self.head(self.merge(torch.cat([self.up(deep), skip], 1)))


@pytest.mark.parametrize(
    ("way", "convolution"),
    [("plain", "deep"), ("normalised", ""), ("shared", ""), ("by name", ""), ("circular", "")],
)
def test_a_convolution_that_cannot_be_replaced_is_none(way: str, convolution: str) -> None:
    sites, _ = locate(AskedNetwork("module", "a.b:c"), on_meta(Odd(way)), 3, 2)
    assert {str(site.location): site.convolution for site in sites}["encoder.0"] == convolution


def test_two_cannot_take_one_place(described: DescribedNetwork) -> None:
    model = build_fresh(described.asked, 3, 2, seed=0)
    modules = {name: (nn.Identity(), Place.parse("instead of enc1.3")) for name in ("encoder.1", "encoder.2")}
    with pytest.raises(NetworkError) as caught:
        insert_modules(model, modules)
    assert caught.value.problems == ("encoder.2: enc1.3 has something else in its place already",)
    assert "forward" not in vars(model.enc1[3])
