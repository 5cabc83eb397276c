"""The layers that a U-Net is made of."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_attn.models.network import UPSAMPLINGS
from nas_attn.models.unet.layers import BilinearUp, GroupNorm, TransposeUp, norm_layer, up_layer


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize(("height", "width"), [(6, 8), (7, 8), (6, 9), (7, 9), (2, 3)])
def test_the_fine_map_has_exactly_the_size_of_the_skip(height: int, width: int, upsampling: str) -> None:
    coarse, skip = torch.randn(2, 4, height // 2, width // 2), torch.randn(2, 1, height, width)
    assert up_layer(upsampling, 4, 3)(coarse, skip).shape == (2, 3, height, width)


def test_an_odd_last_row_and_column_repeat_their_neighbours() -> None:
    up, coarse = TransposeUp(4, 3), torch.randn(2, 4, 3, 5)
    expected = functional.pad(up.conv(coarse), (0, 1, 0, 1), mode="replicate")
    assert torch.equal(up(coarse, torch.zeros(2, 1, 7, 11)), expected)


@pytest.mark.parametrize(("height", "width"), [(6, 10), (7, 11)])
def test_convolving_before_interpolating_is_interpolating_before_convolving(height: int, width: int) -> None:
    up, coarse = BilinearUp(4, 3), torch.randn(2, 4, 3, 5)
    expected = up.conv(functional.interpolate(coarse, (height, width), mode="bilinear"))
    torch.testing.assert_close(up(coarse, torch.zeros(2, 1, height, width)), expected)


def shaken(channels: int, groups: int) -> GroupNorm:
    layer = GroupNorm(channels, groups)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    return layer


def test_group_norm_is_that_of_torch() -> None:
    layer, x = shaken(12, 4), torch.randn(2, 12, 5, 3)
    torch.testing.assert_close(layer(x), functional.group_norm(x, 4, layer.weight, layer.bias))


def test_instance_norm_is_that_of_torch() -> None:
    layer, x = shaken(6, 6), torch.randn(2, 6, 5, 3) * 7 + 3
    expected = functional.instance_norm(x, weight=layer.weight, bias=layer.bias)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_a_single_value_is_normalised_to_the_shift() -> None:
    layer = shaken(3, 3)
    # 1 / sqrt(1e-5) = 316 times the rounding of x: some processors' kernels subtract the mean after scaling.
    torch.testing.assert_close(layer(torch.randn(1, 3, 1, 1)).flatten(), layer.bias, atol=2e-4, rtol=0)


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (6, 6), (8, 8), (10, 5), (11, 1), (12, 6), (64, 8)])
def test_as_many_groups_as_divide_the_channels_but_eight_at_most(channels: int, groups: int) -> None:
    layer = norm_layer("group", channels)
    assert isinstance(layer, GroupNorm)
    assert layer.groups == groups


def test_the_names_give_the_layers() -> None:
    assert type(norm_layer("batch", 6)) is nn.BatchNorm2d
    instance = norm_layer("instance", 6)
    assert isinstance(instance, GroupNorm)
    assert instance.groups == 6


def test_reset_starts_without_scale_and_shift() -> None:
    layer = shaken(4, 2)
    layer.reset_parameters()
    assert torch.equal(layer.weight, torch.ones(4))
    assert torch.equal(layer.bias, torch.zeros(4))
