"""Soft attention against its equations, a second formula and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from nas_attn.errors import AttentionError
from nas_attn.models.attention.soft import SoftAttention
from nas_attn.training import initialise
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize(("channels", "reduction", "size"), [(8, 2, (4, 5)), (5, 8, (3, 7)), (1, 8, (1, 1))])
def test_soft_follows_the_equations_of_its_paper(channels, reduction, size, feature, spread, arrays):
    module = spread(SoftAttention(channels, reduction=reduction))
    x = feature(2, channels, *size).numpy()
    w = arrays(module)
    expected = np.empty_like(x)
    for image in range(2):
        scores = np.empty(size)
        for i in range(size[0]):
            for j in range(size[1]):
                seen = np.tanh(w["project.weight"][:, :, 0, 0] @ x[image, :, i, j] + w["project.bias"])
                scores[i, j] = w["score"][0, :, 0, 0] @ seen
        alpha = np.exp(scores) / np.exp(scores).sum()
        expected[image] = x[image] * alpha * alpha.size
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-11)


def test_soft_and_its_gradients_equal_those_of_a_softmax(feature, spread):
    module = spread(SoftAttention(8, reduction=2))
    x = feature(2, 8, 5, 6).requires_grad_()
    hidden = functional.linear(x.movedim(1, -1), module.project.weight[:, :, 0, 0], module.project.bias).tanh()
    weights = (hidden @ module.score[0, :, 0, 0]).flatten(1).softmax(1).view(2, 1, 5, 6)
    expected = x * weights * 30
    leaves, cotangent = [x, *module.parameters()], feature(2, 8, 5, 6, seed=2)
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(
        torch.autograd.grad(module(x), leaves, cotangent), torch.autograd.grad(expected, leaves, cotangent)
    )


@given(seed=st.integers(0, 1000), scale=st.floats(0, 300), height=st.integers(1, 5), width=st.integers(1, 5))
@settings(max_examples=20)
def test_soft_hands_out_weights_that_average_one(seed, scale, height, width):
    torch.manual_seed(seed)
    module = SoftAttention(3)
    torch.nn.init.normal_(module.score, std=scale)
    x = torch.randn(2, 3, height, width)
    weights = (module(x) / x)[:, 0]
    torch.testing.assert_close(weights.mean((1, 2)), torch.ones(2))
    assert (weights >= 0).all()


@pytest.mark.parametrize("size", [(3, 7), (13, 11), (1, 1)], ids=str)
def test_soft_starts_as_an_exact_identity_that_can_learn(size, feature):
    module, x = SoftAttention(5), feature(2, 5, *size).float()
    for seed in (0, 1):
        initialise(module, seed)
        assert torch.equal(module(x), x)
    module(x).square().sum().backward()
    assert module.score.grad.isfinite().all()
    assert module.score.grad.any() == (size != (1, 1))


@pytest.mark.parametrize(("channels", "hidden"), [(64, 8), (256, 32), (17, 2), (1, 1)])
def test_soft_costs_its_closed_form(channels, hidden):
    module = SoftAttention(channels)
    assert count_parameters(module) == channels * hidden + 2 * hidden
    assert count_macs(module, (1, channels, 9, 12)) == 9 * 12 * (channels * hidden + hidden)


def test_soft_refuses_a_reduction_below_one():
    with pytest.raises(AttentionError, match=r"^soft: reduction is 0; it must be a whole number of at least 1$"):
        SoftAttention(8, reduction=0)
