"""Deformable convolution against torchvision, a slow loop, plain convolution, and its closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.models.attention.dcn import DeformableConvolution
from nas_attn.training import initialise
from nas_attn.training.metrics import count_macs, count_parameters

MODULATED = pytest.mark.parametrize("modulated", [True, False], ids=["version 2", "version 1"])


@MODULATED
@pytest.mark.parametrize("shape", [(2, 4, 6, 5), (1, 3, 1, 1), (3, 1, 2, 9)], ids=str)
def test_deformable_convolution_and_its_gradients_are_those_of_torchvision(
    shape, modulated, feature, spread, reference
):
    theirs = reference("torchvision.ops")
    module = spread(DeformableConvolution(shape[1], modulated))
    with torch.no_grad():
        module.field.bias.mul_(30)  # offsets of several pixels, also beyond the border
    leaves = [feature(*shape).requires_grad_(), *module.parameters()]
    x = leaves[0]
    field = 0.1 * nn.functional.conv2d(x, module.field.weight, module.field.bias, padding=1)
    mask = field[:, 18:].sigmoid() if modulated else None
    expected = theirs.deform_conv2d(x, field[:, :18], module.conv.weight, padding=1, mask=mask)
    output = module(x)
    cotangent = torch.randn(output.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(
        torch.autograd.grad(output, leaves, cotangent), torch.autograd.grad(expected, leaves, cotangent)
    )


@MODULATED
def test_deformable_convolution_follows_the_equation_of_its_paper(modulated, feature, spread, arrays, convolved):
    module, x = spread(DeformableConvolution(2, modulated)), feature(1, 2, 4, 3)
    w = arrays(module)
    field = 0.1 * convolved(x.numpy(), w["field.weight"], w["field.bias"])[0]
    expected = np.zeros((2, 4, 3))
    for row in range(4):
        for column in range(3):
            for tap in range(9):
                at = (
                    row + tap // 3 - 1 + field[2 * tap, row, column],
                    column + tap % 3 - 1 + field[2 * tap + 1, row, column],
                )
                seen = _between(x.numpy()[0], *at)
                weight = 1 / (1 + np.exp(-field[18 + tap, row, column])) if modulated else 1
                expected[:, row, column] += w["conv.weight"][:, :, tap // 3, tap % 3] @ seen * weight
    np.testing.assert_allclose(module(x)[0].detach(), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("modulated", "share"), [(True, 0.5), (False, 1.0)])
def test_it_starts_as_a_plain_convolution_half_as_strong_where_taps_are_weighed(modulated, share, feature):
    module, x = DeformableConvolution(4, modulated), feature(2, 4, 7, 6).float()
    initialise(module, 3)
    torch.testing.assert_close(module(x), share * module.conv(x), rtol=1e-4, atol=1e-5)


def test_a_constant_offset_moves_the_map(feature):
    module, x = DeformableConvolution(3, modulated=False).double(), feature(1, 3, 6, 6)
    with torch.no_grad():
        module.field.bias[0::2] = 20  # two rows down, at a tenth of what is stored
    torch.testing.assert_close(module(x)[:, :, 1:3], module.conv(x)[:, :, 3:5])


def test_offsets_learn_at_a_tenth_of_the_rate_under_adam(feature):
    module = DeformableConvolution(3).double()
    module(feature(2, 3, 5, 5)).square().sum().backward()
    torch.optim.Adam(module.parameters(), lr=0.01).step()
    assert module.field.bias.abs().max().item() == pytest.approx(0.01, rel=1e-3)
    field = module.field(torch.zeros(1, 3, 1, 1, dtype=torch.float64))
    assert field.abs().max().item() == pytest.approx(0.001, rel=1e-3)


@MODULATED
@pytest.mark.parametrize("channels", [64, 256, 17, 1])
def test_deformable_convolution_costs_its_closed_form(channels, modulated):
    module, numbers = DeformableConvolution(channels, modulated), 27 if modulated else 18
    assert count_parameters(module) == 9 * channels**2 + numbers * (9 * channels + 1)
    macs = 9 * 12 * (9 * channels**2 + numbers * 9 * channels)
    assert count_macs(module, (1, channels, 9, 12)) == macs


def test_deformable_convolution_has_the_sizes_of_the_published_table():
    module = DeformableConvolution(64)
    assert (count_parameters(module), count_parameters(DeformableConvolution(256))) == (52443, 652059)
    assert count_macs(module, (1, 64, 64, 64)) == 64**2 * (9 * 64**2 + 243 * 64)  # 214.7 M


def _between(x, row, column):
    """Bilinear interpolation with zeros beyond the border."""
    total = np.zeros(len(x))
    for i in (math.floor(row), math.floor(row) + 1):
        for j in (math.floor(column), math.floor(column) + 1):
            if 0 <= i < x.shape[1] and 0 <= j < x.shape[2]:
                total += x[:, i, j] * (1 - abs(row - i)) * (1 - abs(column - j))
    return total
