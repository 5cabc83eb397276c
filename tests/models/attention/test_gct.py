"""Gated channel transformation against its equations, a second formula and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from nas_attn.errors import AttentionError
from nas_attn.models.attention.gct import GatedChannelTransformation
from nas_attn.training import initialise
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("norm", ["l2", "l1"])
@pytest.mark.parametrize(("channels", "size"), [(6, (5, 4)), (1, (3, 7)), (3, (1, 1))])
def test_gct_follows_the_equations_of_its_paper(channels, size, norm, feature, spread, arrays):
    module = spread(GatedChannelTransformation(channels, norm=norm))
    x = feature(2, channels, *size)
    w = arrays(module)
    expected = np.empty_like(x.numpy())
    for image in range(2):
        planes = x.numpy()[image].reshape(channels, -1)
        if norm == "l2":
            energy = w["alpha"] * np.sqrt((planes**2).sum(1) + 1e-5)
            competing = energy / np.sqrt((energy**2).sum() / channels + 1e-5)
        else:
            energy = w["alpha"] * np.abs(planes).sum(1)
            competing = energy / (np.abs(energy).sum() / channels + 1e-5)
        weights = 1 + np.tanh(w["gamma"] * competing + w["beta"])
        expected[image] = x.numpy()[image] * weights[:, None, None]
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-12)


def test_gct_and_its_gradients_equal_those_of_a_scaled_unit_vector(feature, spread):
    module = spread(GatedChannelTransformation(8))
    x = feature(2, 8, 6, 5).requires_grad_()
    unit = functional.normalize(module.alpha * x.flatten(2).norm(dim=2), dim=1)
    weights = 1 + torch.tanh(module.gamma * 8**0.5 * unit + module.beta)
    expected = x * weights[:, :, None, None]
    leaves, cotangent = [x, *module.parameters()], feature(2, 8, 6, 5, seed=2)
    torch.testing.assert_close(module(x), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        torch.autograd.grad(module(x), leaves, cotangent),
        torch.autograd.grad(expected, leaves, cotangent),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_gct_hardly_cares_how_bright_the_map_is(norm, feature, spread):
    module, x = spread(GatedChannelTransformation(6, norm=norm)), feature(2, 6, 8, 8)
    torch.testing.assert_close(module(10 * x), 10 * module(x), rtol=1e-5, atol=1e-5)


def test_gct_starts_as_an_exact_identity_that_can_learn(feature):
    module = GatedChannelTransformation(5).double()
    for seed in (0, 1):
        initialise(module, seed)
        x = feature(2, 5, 4, 3)
        assert torch.equal(module(x), x)
    module(x).square().sum().backward()
    assert module.gamma.grad.abs().min() > 0
    assert module.beta.grad.abs().min() > 0
    assert torch.equal(module.alpha.data, torch.ones(5).double())


def test_gct_sums_large_maps_in_single_precision():
    module, x = GatedChannelTransformation(2), torch.full((1, 2, 300, 300), 2.0, dtype=torch.float16)
    torch.nn.init.ones_(module.gamma)
    expected = 2 * (1 + np.tanh(1.0))  # both channels have the typical energy
    torch.testing.assert_close(module(x), torch.full_like(x, expected))


@pytest.mark.parametrize("channels", [1, 64, 256])
def test_gct_costs_its_closed_form(channels):
    module = GatedChannelTransformation(channels)
    assert count_parameters(module) == 3 * channels
    assert count_macs(module, (1, channels, 9, 12)) == 0


def test_gct_refuses_another_norm():
    with pytest.raises(AttentionError, match=r"^gct: norm is 'l3'; it must be l2 \| l1$"):
        GatedChannelTransformation(8, norm="l3")
