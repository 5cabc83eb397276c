"""scSE against its equations, segmentation_models.pytorch and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas_attn.errors import AttentionError
from nas_attn.models.attention.scse import LearnedSum, SpatialChannelSqueezeExcite
from nas_attn.training.metrics import count_macs, count_parameters

FUSIONS = ("add", "max", "mul", "concat")


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(("channels", "reduction"), [(16, 2), (5, 16), (1, 2)])
def test_scse_follows_the_equations_of_its_paper(channels, reduction, fusion, feature, spread, arrays):
    module = spread(SpatialChannelSqueezeExcite(channels, reduction=reduction, fusion=fusion))
    x = feature(2, channels, 5, 7)
    w = arrays(module)
    expected = _fused(fusion, _by_channel(x.numpy(), w), _by_position(x.numpy(), w), w)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("neutral", [False, True], ids=["paper", "neutral"])
@pytest.mark.parametrize(("parts", "layers"), [("channel", {"perceptron"}), ("spatial", {"conv"})])
def test_cse_and_sse_alone_follow_their_equations(parts, layers, neutral, feature, spread, arrays):
    module = spread(SpatialChannelSqueezeExcite(16, parts=parts, fusion="concat", neutral=neutral))
    x, w = feature(2, 16, 5, 7), arrays(module)
    assert {name.partition(".")[0] for name in w} == layers
    expected = (_by_channel if parts == "channel" else _by_position)(x.numpy(), w)
    np.testing.assert_allclose(module(x).detach().numpy(), (1 + neutral) * expected, rtol=1e-11)


@pytest.mark.parametrize(
    ("parts", "half", "layers"),
    [
        ("channel", "cSE", {"1": "perceptron.squeeze", "3": "perceptron.excite"}),
        ("spatial", "sSE", {"0": "conv"}),
    ],
)
def test_cse_and_sse_alone_equal_those_of_segmentation_models_pytorch(
    parts, half, layers, feature, reference, assert_same_function
):
    ours = SpatialChannelSqueezeExcite(64, reduction=16, min_hidden=1, parts=parts)
    whole = reference("segmentation_models_pytorch.base.modules").SCSEModule(64, 16)
    theirs = _Times(getattr(whole, half))
    layers = {f"weights.{name}": own for name, own in layers.items()}
    assert_same_function(ours, theirs, layers, feature(2, 64, 6, 5))


@pytest.mark.parametrize(("parts", "parameters", "macs"), [("channel", 4192, 4096), ("spatial", 65, 64 * 108)])
def test_cse_and_sse_alone_cost_their_closed_forms(parts, parameters, macs):
    module = SpatialChannelSqueezeExcite(64, parts=parts)
    assert count_parameters(module) == parameters
    assert count_macs(module, (1, 64, 9, 12)) == macs


@pytest.mark.parametrize("channels", [64, 256])
def test_scse_equals_segmentation_models_pytorch(channels, feature, reference, assert_same_function):
    ours = SpatialChannelSqueezeExcite(channels, reduction=16, min_hidden=1)
    theirs = reference("segmentation_models_pytorch.base.modules").SCSEModule(channels, 16)
    layers = {"cSE.1": "perceptron.squeeze", "cSE.3": "perceptron.excite", "sSE.0": "conv"}
    assert_same_function(ours, theirs, layers, feature(2, channels, 6, 5))


@pytest.mark.parametrize("channels", [64, 256, 17])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_scse_costs_its_closed_form(channels, fusion):
    module = SpatialChannelSqueezeExcite(channels, fusion=fusion)
    hidden, mix = channels // 2, 2 * channels**2 if fusion == "concat" else 0
    assert count_parameters(module) == 2 * channels * hidden + hidden + 2 * channels + 1 + mix
    positions = 9 * 12
    assert count_macs(module, (1, channels, 9, 12)) == 2 * channels * hidden + (channels + mix) * positions


def test_scse_with_the_reduction_of_segmentation_models_pytorch_has_its_size():
    assert count_parameters(SpatialChannelSqueezeExcite(64, reduction=16, min_hidden=1)) == 645
    assert count_parameters(SpatialChannelSqueezeExcite(256, reduction=16, min_hidden=1)) == 8721


def test_scse_concat_starts_as_the_sum(feature):
    concat = SpatialChannelSqueezeExcite(6, fusion="concat").double()
    add = SpatialChannelSqueezeExcite(6, fusion="add").double()
    missing, extra = add.load_state_dict(concat.state_dict(), strict=False)
    assert (missing, extra) == ([], ["mix.weight"])
    x = feature(2, 6, 5, 4)
    torch.testing.assert_close(concat(x), add(x), rtol=1e-14, atol=1e-14)


def test_scse_concat_finds_the_sum_again_when_it_is_reset(spread):
    mix = spread(LearnedSum(3))
    mix.reset_parameters()
    assert torch.equal(mix.weight[:, :, 0, 0], torch.eye(3).repeat(1, 2).double())


@given(seed=st.integers(0, 1000), fusion=st.sampled_from(FUSIONS))
@settings(max_examples=20)
def test_scse_does_not_care_where_in_the_map_a_value_stands(seed, fusion):
    torch.manual_seed(seed)
    module = SpatialChannelSqueezeExcite(4, fusion=fusion).double()
    x, order = torch.randn(2, 4, 12).double(), torch.randperm(12)
    moved = module(x[:, :, order].view(2, 4, 3, 4)).flatten(2)
    torch.testing.assert_close(moved, module(x.view(2, 4, 3, 4)).flatten(2)[:, :, order])


def test_scse_refuses_an_unknown_fusion():
    with pytest.raises(AttentionError, match=r"^scse: fusion is 'sum'; it must be add \| max \| mul \| concat$"):
        SpatialChannelSqueezeExcite(8, fusion="sum")


class _Times(nn.Module):
    """x times what a module finds for it."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, x):
        return x * self.weights(x)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _by_channel(x, w):
    hidden = np.maximum(x.mean((2, 3)) @ w["perceptron.squeeze.weight"].T + w["perceptron.squeeze.bias"], 0)
    weights = _sigmoid(hidden @ w["perceptron.excite.weight"].T + w["perceptron.excite.bias"])
    return x * weights[:, :, None, None]


def _by_position(x, w):
    logits = np.einsum("nchw,c->nhw", x, w["conv.weight"][0, :, 0, 0]) + w["conv.bias"]
    return x * _sigmoid(logits)[:, None]


def _fused(fusion, a, b, w):
    if fusion == "concat":
        return np.einsum("nchw,dc->ndhw", np.concatenate((a, b), 1), w["mix.weight"][:, :, 0, 0])
    return {"add": np.add, "max": np.maximum, "mul": np.multiply}[fusion](a, b)
