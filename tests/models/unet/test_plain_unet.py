"""The U-Net against one written down as bare functions of its weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.build import build_unet
from nas_attn.models.network import NORMS, UPSAMPLINGS, UNetConfig
from nas_attn.models.unet import UNet

Weights = dict[str, Tensor]
Attend = Callable[[str, Tensor, Tensor | None], Tensor]


def no_attention(place: str, feature: Tensor, gate: Tensor | None) -> Tensor:
    return feature


def normalised(x: Tensor, weights: Weights, name: str, norm: str) -> Tensor:
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    if norm == "batch":
        return functional.batch_norm(
            x, weights[f"{name}.running_mean"], weights[f"{name}.running_var"], scale, shift
        )
    groups = {"instance": x.shape[1], "group": {6: 6, 12: 6, 24: 8}.get(x.shape[1])}[norm]
    assert groups is not None
    return functional.group_norm(x, groups, scale, shift)


def block(x: Tensor, weights: Weights, name: str, norm: str) -> Tensor:
    for number in (1, 2):
        x = functional.conv2d(x, weights[f"{name}.conv{number}.weight"], padding=1)
        x = functional.relu(normalised(x, weights, f"{name}.norm{number}", norm))
    return x


def plain_unet(
    images: Tensor, weights: Weights, norm: str, upsampling: str, attend: Attend = no_attention
) -> Tensor:
    """A U-Net of depth 2 for sides that 4 divides, every step written out."""
    first = attend("encoder.0", block(images, weights, "encoder.0", norm), None)
    second = attend("encoder.1", block(functional.max_pool2d(first, 2), weights, "encoder.1", norm), None)
    deepest = attend("bottleneck", block(functional.max_pool2d(second, 2), weights, "bottleneck", norm), None)

    def up(x: Tensor, level: int) -> Tensor:
        weight, bias = weights[f"up.{level}.conv.weight"], weights[f"up.{level}.conv.bias"]
        if upsampling == "transpose":
            return functional.conv_transpose2d(x, weight, bias, stride=2)
        return functional.interpolate(functional.conv2d(x, weight, bias), scale_factor=2.0, mode="bilinear")

    skip = attend("skip.1", second, deepest)
    joined = torch.cat((skip, up(deepest, 1)), 1)
    middle = attend("decoder.1", block(joined, weights, "decoder.1", norm), deepest)
    skip = attend("skip.0", first, middle)
    joined = torch.cat((skip, up(middle, 0)), 1)
    last = attend("decoder.0", block(joined, weights, "decoder.0", norm), middle)
    return functional.conv2d(last, weights["head.weight"], weights["head.bias"])


def shaken(
    network: UNetConfig, attention: dict[str, nn.Module] | None = None, gated: tuple[str, ...] = ()
) -> UNet:
    """The network in evaluation, with every weight and every running statistic drawn at random."""
    net = UNet(
        network.in_channels,
        network.classes,
        network.depth,
        network.base_channels,
        network.norm,
        network.upsampling,
        attention,
        gated,
    ).eval()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=generator) * 0.3
            tensor.copy_(drawn.abs() + 0.1 if "running_var" in name else drawn)
    return net


def config(norm: str = "batch", upsampling: str = "transpose") -> UNetConfig:
    return UNetConfig(2, 3, depth=2, base_channels=6, norm=norm, upsampling=upsampling)


IMAGES = torch.randn(2, 2, 12, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("norm", NORMS)
def test_none_everywhere_is_the_plain_unet_bit_for_bit(norm: str, upsampling: str) -> None:
    network = config(norm, upsampling)
    net = build_unet(network, network.plain).eval()
    net.load_state_dict(shaken(network).state_dict())
    with torch.no_grad():
        assert torch.equal(net(IMAGES), plain_unet(IMAGES, dict(net.state_dict()), norm, upsampling))


def test_none_everywhere_adds_no_module() -> None:
    network = config()
    net = build_unet(network, network.plain)
    assert len(net.attention) == 0
    assert not [name for name in net.state_dict() if "attention" in name]


class Scale(nn.Module):
    """Multiply by a number of its own, and by the gate's mean where there is a gate."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        return x * self.factor if gate is None else x * self.factor * gate.mean()


PLACES = [str(location) for location in config().locations]
FACTORS = {place: 0.6 + 0.15 * order for order, place in enumerate(PLACES)}


@pytest.mark.parametrize("place", PLACES)
def test_attention_acts_where_its_location_says(place: str) -> None:
    def attend(where: str, feature: Tensor, gate: Tensor | None) -> Tensor:
        return feature * FACTORS[where] if where == place else feature

    net = shaken(config(), {place: Scale(FACTORS[place])})
    with torch.no_grad():
        expected = plain_unet(IMAGES, dict(net.state_dict()), "batch", "transpose", attend)
        assert torch.equal(net(IMAGES), expected)
        assert not torch.equal(expected, plain_unet(IMAGES, dict(net.state_dict()), "batch", "transpose"))


def test_gated_attention_sees_the_decoder_feature_that_enters_its_level() -> None:
    gated = ("skip.0", "skip.1", "decoder.0", "decoder.1")

    def attend(where: str, feature: Tensor, gate: Tensor | None) -> Tensor:
        scaled = feature * FACTORS[where]
        return scaled * gate.mean() if gate is not None and where in gated else scaled

    net = shaken(config(), {place: Scale(factor) for place, factor in FACTORS.items()}, gated)
    with torch.no_grad():
        expected = plain_unet(IMAGES, dict(net.state_dict()), "batch", "transpose", attend)
        assert torch.equal(net(IMAGES), expected)
