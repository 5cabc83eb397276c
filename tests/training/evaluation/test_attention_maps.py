"""Maps of what modules do to positions, against modules that do something known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nas_attn.models.attention import build_attention
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import KINDS
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement, Stage
from nas_attn.models.unet import UNet
from nas_attn.training import Precision
from nas_attn.training.evaluation import attention_maps

IMAGE = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(3))
NETWORK = UNetConfig(1, 2, depth=2, base_channels=4)


class Scaled(nn.Module):
    """Multiplies by something known."""

    def __init__(self, factor: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor(x)


def unet(**modules: nn.Module) -> UNet:
    torch.manual_seed(0)
    places = {name.replace("_", "."): module for name, module in modules.items()}
    return UNet(1, 2, depth=2, base_channels=4, attention=places).eval()


def slope(x: Tensor) -> Tensor:
    """From 1 at the top to 3 at the bottom."""
    return torch.linspace(1, 3, x.shape[2])[None, None, :, None].expand(1, 1, -1, x.shape[3])


def test_a_map_is_the_factor_of_each_position() -> None:
    maps = attention_maps(unet(skip_0=Scaled(slope)), IMAGE, Precision())
    (values,) = maps.values()
    assert list(maps) == ["skip.0"]
    known = torch.isfinite(values)
    assert known.float().mean() > 0.9
    torch.testing.assert_close(values[known], slope(IMAGE)[0, 0][known])


def test_positions_whose_feature_is_zero_have_no_value() -> None:
    class Cut(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * (torch.arange(x.shape[3]) < 4)

    network = unet(encoder_0=Cut(), skip_0=Scaled(slope))
    values = attention_maps(network, IMAGE, Precision())["skip.0"]
    assert torch.isnan(values[:, 4:]).all()


@pytest.mark.parametrize(
    "factor",
    [lambda x: torch.ones(1), lambda x: torch.linspace(0.1, 2, x.shape[1])[None, :, None, None]],
    ids=["identity", "one factor for each channel"],
)
def test_what_treats_all_positions_alike_has_no_map(factor: Callable[[Tensor], Tensor]) -> None:
    assert attention_maps(unet(skip_0=Scaled(factor)), IMAGE, Precision()) == {}


def test_nothing_of_the_network_is_changed() -> None:
    network = unet(skip_0=Scaled(slope))
    before = network(IMAGE)
    attention_maps(network, IMAGE, Precision())
    assert torch.equal(network(IMAGE), before)
    assert not any(module._forward_hooks for module in network.modules())


def disturbed(spec: str) -> nn.Module:
    """A module of a kind whose parameters are far from any start."""
    module = build_attention(AttentionSpec.parse(spec), 4, 8)
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data.normal_(generator=generator)
    return module


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("se", False), ("eca", False), ("gct", False), ("cbam", True), ("scse", True), ("ca", True), ("pam", True)],
)
def test_kinds_have_a_map_if_they_look_at_positions(kind: str, expected: bool) -> None:
    assert bool(attention_maps(unet(skip_0=disturbed(kind)), IMAGE, Precision())) is expected


def test_every_kind_can_be_watched_in_half_precision() -> None:
    for kind in KINDS:
        stage = Stage.SKIP if KINDS[kind].kind.needs_gate else Stage.ENCODER
        placement = NETWORK.plain.replace(Location(stage, 0), AttentionSpec(kind))
        network = build_unet(replace(NETWORK, frames=2), placement).eval()
        for values in attention_maps(network, IMAGE.repeat(2, 1, 1, 1), Precision(bfloat16=True)).values():
            assert values.shape == (16, 16)
            assert values.dtype == torch.float32


def test_maps_come_in_the_order_of_the_network() -> None:
    kinds = Placement(tuple((location, AttentionSpec("pam")) for location in NETWORK.locations))
    network = build_unet(NETWORK, kinds).eval()
    for name, parameter in network.attention.named_parameters():
        if name.endswith("gamma"):
            parameter.data.fill_(1.0)
    maps = attention_maps(network, IMAGE, Precision())
    assert list(maps) == ["encoder.0", "encoder.1", "bottleneck", "skip.1", "decoder.1", "skip.0", "decoder.0"]
    assert [tuple(values.shape) for values in maps.values()][:3] == [(16, 16), (8, 8), (4, 4)]
