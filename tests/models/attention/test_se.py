"""Squeeze-and-excitation against its equation, three libraries and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_attn.errors import AttentionError
from nas_attn.models.attention.se import SqueezeExcite
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize(("channels", "reduction"), [(32, 16), (5, 2), (3, 16), (1, 1)])
def test_se_follows_the_equation_of_its_paper(channels, reduction, bias, feature, spread, arrays):
    module = spread(SqueezeExcite(channels, reduction=reduction, bias=bias))
    x = feature(2, channels, 5, 7)
    w = arrays(module)
    hidden = x.numpy().mean((2, 3)) @ w["perceptron.squeeze.weight"].T + w.get("perceptron.squeeze.bias", 0)
    excited = np.maximum(hidden, 0) @ w["perceptron.excite.weight"].T + w.get("perceptron.excite.bias", 0)
    expected = x.numpy() / (1 + np.exp(-excited))[:, :, None, None]
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("channels", [64, 256])
def test_se_equals_timm(channels, feature, reference, assert_same_function):
    ours = SqueezeExcite(channels, min_hidden=1)
    theirs = reference("timm.layers").SEModule(channels, rd_channels=channels // 16)
    assert_same_function(
        ours, theirs, {"fc1": "perceptron.squeeze", "fc2": "perceptron.excite"}, feature(2, channels, 6, 5)
    )


def test_se_without_bias_equals_timm(feature, reference, assert_same_function):
    ours = SqueezeExcite(64, bias=False, min_hidden=1)
    theirs = reference("timm.layers").SEModule(64, rd_channels=4, bias=False)
    assert_same_function(
        ours, theirs, {"fc1": "perceptron.squeeze", "fc2": "perceptron.excite"}, feature(2, 64, 6, 5)
    )


def test_se_equals_torchvision(feature, reference, assert_same_function):
    ours = SqueezeExcite(64, min_hidden=1)
    theirs = reference("torchvision.ops").SqueezeExcitation(64, 4)
    assert_same_function(
        ours, theirs, {"fc1": "perceptron.squeeze", "fc2": "perceptron.excite"}, feature(2, 64, 6, 5)
    )


def test_se_equals_monai(feature, reference, assert_same_function):
    ours = SqueezeExcite(64, min_hidden=1)
    theirs = reference("monai.networks.blocks").ChannelSELayer(2, 64, r=16)
    assert_same_function(
        ours, theirs, {"fc.0": "perceptron.squeeze", "fc.2": "perceptron.excite"}, feature(2, 64, 6, 5)
    )


@pytest.mark.parametrize(("channels", "hidden"), [(64, 4), (256, 16), (17, 1), (1, 1)])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_se_costs_its_closed_form(channels, hidden, bias):
    module = SqueezeExcite(channels, bias=bias, min_hidden=1)
    biases = hidden + channels if bias else 0
    assert count_parameters(module) == 2 * channels * hidden + biases
    assert count_macs(module, (1, channels, 9, 12)) == 2 * channels * hidden


@given(seed=st.integers(0, 1000), side=st.integers(2, 6))
@settings(max_examples=20)
def test_se_does_not_care_where_in_the_map_a_value_stands(seed, side):
    torch.manual_seed(seed)
    module, x = SqueezeExcite(6, reduction=2).double(), torch.randn(2, 6, side * side).double()
    order = torch.randperm(side * side)
    moved = module(x[:, :, order].view(2, 6, side, side)).flatten(2)
    torch.testing.assert_close(moved, module(x.view(2, 6, side, side)).flatten(2)[:, :, order])


def test_se_names_every_argument_that_does_not_fit():
    with pytest.raises(AttentionError) as refused:
        SqueezeExcite(0, reduction=0, bias="yes")
    assert refused.value.problems == (
        "se: channels is 0; it must be a whole number of at least 1",
        "se: reduction is 0; it must be a whole number of at least 1",
        "se: bias is 'yes'; it must be true | false",
    )
