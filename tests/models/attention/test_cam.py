"""Channel attention against its equations and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from nas_attn.errors import AttentionError
from nas_attn.models.attention.cam import ChannelAttention
from nas_attn.training.metrics import count_macs, count_parameters

ENERGIES = pytest.mark.parametrize("energy", ["product", "inverted"])


@ENERGIES
@pytest.mark.parametrize(("channels", "size"), [(6, (4, 5)), (1, (3, 7)), (5, (1, 1))], ids=str)
def test_cam_follows_the_equations_of_its_paper_and_the_code_of_its_authors(
    channels, size, energy, feature, spread
):
    module = spread(ChannelAttention(channels, energy=energy))
    x = 0.3 * feature(2, channels, *size)
    expected = x.numpy().copy()
    for image, rows in enumerate(x.numpy().reshape(2, channels, -1)):
        for c in range(channels):
            products = np.array([rows[c] @ rows[d] for d in range(channels)])
            weights = np.exp(products if energy == "product" else products.max() - products)
            heard = sum(weights[d] * rows[d] for d in range(channels)) / weights.sum()
            expected[image, c] += module.beta.item() * heard.reshape(size)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-11, atol=1e-13)


@ENERGIES
def test_cam_and_its_gradients_equal_those_of_scaled_dot_product_attention(energy, feature, spread):
    module = spread(ChannelAttention(6, energy=energy))
    x = (0.3 * feature(2, 6, 4, 3)).requires_grad_()
    rows = x.flatten(2)
    scale = 1.0 if energy == "product" else -1.0
    heard = functional.scaled_dot_product_attention(rows, rows, rows, scale=scale)
    expected = x + module.beta * heard.view(x.shape)
    leaves, cotangent = [x, module.beta], feature(2, 6, 4, 3, seed=2)
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(
        torch.autograd.grad(module(x), leaves, cotangent), torch.autograd.grad(expected, leaves, cotangent)
    )


@pytest.mark.parametrize("channels", [64, 256, 17, 1])
def test_cam_costs_its_closed_form(channels):
    module = ChannelAttention(channels)
    assert count_parameters(module) == 1
    assert count_macs(module, (1, channels, 9, 12)) == 2 * channels**2 * 9 * 12


@pytest.mark.parametrize(("energy", "heard"), [("product", 0), ("inverted", 1)])
def test_a_channel_hears_the_like_or_the_unlike(energy, heard):
    module = ChannelAttention(2, energy=energy).double()
    torch.nn.init.ones_(module.beta)
    x = torch.tensor([[[[9.0, 9.0]], [[-9.0, 9.0]]]], dtype=torch.float64)
    torch.testing.assert_close(module(x)[:, 0], x[:, 0] + x[:, heard])


def test_cam_does_not_care_where_in_the_map_a_value_stands(feature, spread):
    module, x = spread(ChannelAttention(4)), 0.3 * feature(2, 4, 3, 5)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(0))
    moved = module(x.flatten(2)[:, :, order].view(2, 4, 3, 5)).flatten(2)
    torch.testing.assert_close(moved, module(x).flatten(2)[:, :, order])


def test_cam_starts_as_an_exact_identity_that_can_learn(feature):
    module, x = ChannelAttention(4).double(), feature(2, 4, 5, 4)
    output = module(x)
    assert torch.equal(output, x)
    output.square().sum().backward()
    assert module.beta.grad.abs() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_products_keep_their_precision_under_autocast(dtype):
    module = ChannelAttention(2, energy="product")
    torch.nn.init.ones_(module.beta)
    x = torch.full((1, 2, 60, 60), 8.0, dtype=dtype)  # products of about 230000, beyond fp16
    x[0, 0, 0, 0], x[0, 1, 0, 0] = 1, 0  # and 1 apart, which bf16 cannot tell
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(x)
    assert output.dtype == dtype
    assert output[0, 0, 0, 0].item() == pytest.approx(1 + 1 / (1 + np.exp(-1)), rel=0.01)  # 1.5 if rounded


def test_cam_refuses_an_energy_that_it_does_not_know():
    with pytest.raises(AttentionError, match=r"^cam: energy is 'max'; it must be inverted \| product$"):
        ChannelAttention(8, energy="max")


@ENERGIES
def test_compared_by_means_a_repeated_image_has_the_weights_of_the_image_itself(energy, feature, spread):
    """Crop or whole image: only sums grow with the area."""
    x = 0.3 * feature(2, 4, 3, 5)
    repeated = x.repeat(1, 1, 2, 3)
    by_mean = spread(ChannelAttention(4, energy=energy, compare="mean"))
    by_sum = spread(ChannelAttention(4, energy=energy))
    torch.testing.assert_close(by_mean(repeated)[:, :, :3, :5], by_mean(x))
    assert by_sum(repeated)[:, :, :3, :5].sub(by_sum(x)).abs().max() > 1e-2


def test_means_are_sums_over_the_number_of_positions(feature, spread):
    module, x = spread(ChannelAttention(4, compare="mean")), feature(1, 4, 3, 5)
    rows = x[0].flatten(1).numpy()
    logits = -(rows @ rows.T) / 15
    weights = np.exp(logits - logits.max(1, keepdims=True))
    heard = (weights / weights.sum(1, keepdims=True)) @ rows
    expected = rows + module.beta.item() * heard
    np.testing.assert_allclose(module(x)[0].flatten(1).detach().numpy(), expected, rtol=1e-9)
