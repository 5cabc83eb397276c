"""Conditional convolution against its equation and timm, its start, and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.errors import AttentionError
from nas_attn.models.attention.condconv import ConditionalConvolution
from nas_attn.training import initialise
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize(("channels", "experts", "size"), [(4, 3, (4, 5)), (1, 1, (3, 1)), (3, 2, (1, 1))])
def test_each_image_is_convolved_by_the_mixture_that_it_asks_for(
    channels, experts, size, feature, spread, arrays, convolved
):
    module, x = spread(ConditionalConvolution(channels, experts)), feature(3, channels, *size)
    w = arrays(module)
    bank = w["bank.weight"].reshape(experts, channels, channels, 3, 3)
    expected = []
    for image in x.numpy():
        asked = 1 / (1 + np.exp(-(w["routing.weight"] @ image.mean((1, 2)) + w["routing.bias"])))
        kernel = sum(share * expert for share, expert in zip(asked, bank, strict=True))
        expected.append(convolved(image[None], kernel))
    np.testing.assert_allclose(module(x).detach(), np.concatenate(expected), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("channels", [4, 7])
def test_conditional_convolution_is_that_of_timm(channels, feature, reference, assert_same_function):
    layers = reference("timm.layers")

    class Theirs(nn.Module):
        def __init__(self):
            super().__init__()
            self.routing = nn.Linear(channels, 3)
            self.conv = layers.CondConv2d(channels, channels, 3, num_experts=3)

        def forward(self, x):
            return self.conv(x, torch.sigmoid(self.routing(x.mean((2, 3)))))

    assert_same_function(
        ConditionalConvolution(channels, 3),
        Theirs(),
        {"routing": "routing", "conv": "bank"},
        feature(2, channels, 6, 5),
    )


@pytest.mark.parametrize(("channels", "experts"), [(64, 4), (17, 3), (1, 1)])
def test_conditional_convolution_costs_its_closed_form(channels, experts):
    module = ConditionalConvolution(channels, experts)
    assert count_parameters(module) == 9 * experts * channels**2 + experts * channels + experts
    macs = 9 * channels**2 * 9 * 12 + experts * channels + 9 * experts * channels**2
    assert count_macs(module, (1, channels, 9, 12)) == macs


def test_conditional_convolution_has_the_sizes_of_the_published_table():
    assert [count_parameters(ConditionalConvolution(channels)) for channels in (64, 256)] == [147716, 2360324]


@pytest.mark.parametrize("drawn", [False, True], ids=["as built", "drawn anew by a run"])
def test_every_expert_starts_as_a_convolution_of_its_own_would(drawn):
    module = ConditionalConvolution(32)
    if drawn:
        initialise(module, 1)
    bound = (9 * 32) ** -0.5  # of torch's own convolutions: 1 / sqrt(fan-in)
    for expert in module.bank.weight:
        assert 0.99 * bound < expert.abs().max() <= bound
    assert not torch.equal(module.bank.weight[0], module.bank.weight[1])


def test_having_no_expert_is_refused():
    with pytest.raises(AttentionError, match=r"^condconv: experts is 0; it must be a whole number of at least 1$"):
        ConditionalConvolution(8, experts=0)
