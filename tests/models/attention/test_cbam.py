"""CBAM against its equation, timm and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.errors import AttentionError
from nas_attn.models.attention.cbam import ConvolutionalBlockAttention
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("channels", "reduction", "kernel_size"), [(32, 16, 7), (5, 2, 3), (1, 16, 7)])
def test_cbam_follows_the_equations_of_its_paper(
    channels, reduction, kernel_size, training, feature, spread, arrays
):
    module = spread(ConvolutionalBlockAttention(channels, reduction=reduction, kernel_size=kernel_size))
    module.train(training)
    x = feature(2, channels, 5, 8)
    w = arrays(module)
    expected = _by_position(_by_channel(x.numpy(), w), w, training)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-11)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("parts", ["both", "channel", "spatial"])
@pytest.mark.parametrize(("bias", "norm"), [(False, False), (False, True), (True, False)])
def test_cbam_without_bias_norm_or_a_half_follows_what_is_left(
    parts, bias, norm, training, feature, spread, arrays
):
    module = spread(ConvolutionalBlockAttention(16, bias=bias, norm=norm, parts=parts)).train(training)
    x, w = feature(2, 16, 5, 8), arrays(module)
    assert ("perceptron.squeeze.bias" in w) == (bias and parts != "spatial")
    assert ("norm.weight" in w) == (norm and parts != "channel")
    expected = x.numpy()
    if parts != "spatial":
        expected = _by_channel(expected, {"perceptron.squeeze.bias": 0, "perceptron.excite.bias": 0, **w})
    if parts != "channel":
        expected = _by_position(expected, w, training)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-11)


@pytest.mark.parametrize(("half", "theirs"), [("channel", "ChannelAttn"), ("spatial", "SpatialAttn")])
def test_a_half_of_cbam_equals_that_of_timm(half, theirs, feature, reference, assert_same_function):
    ours = ConvolutionalBlockAttention(64, min_hidden=1, bias=False, parts=half)
    make = getattr(reference("timm.layers.cbam"), theirs)
    layers = {"fc1": "perceptron.squeeze", "fc2": "perceptron.excite"}
    if half == "spatial":
        layers = {"conv.conv": "conv", "conv.bn": "norm"}

    def mean_before_max(theirs):
        if half == "spatial":
            theirs.conv.conv.weight.data = theirs.conv.conv.weight.data.flip(1)

    theirs = make(64) if half == "channel" else make(7)
    assert_same_function(ours, theirs, layers, feature(2, 64, 9, 8), adapt=mean_before_max)


@pytest.mark.parametrize(("parts", "parameters", "macs"), [("channel", 1024, 2048), ("spatial", 98, 10584)])
def test_a_half_of_cbam_costs_its_closed_form(parts, parameters, macs):
    module = ConvolutionalBlockAttention(64, bias=False, norm=False, parts=parts)
    assert count_parameters(module) == parameters
    assert count_macs(module, (1, 64, 9, 12)) == macs


def test_cbam_without_norm_or_without_its_spatial_half_trains_on_one_value(feature):
    for options in ({"norm": False}, {"parts": "channel"}):
        assert ConvolutionalBlockAttention(8, **options).double()(feature(1, 8, 1, 1)).isfinite().all()


@pytest.mark.parametrize("parts", ["both", "channel", "spatial"])
def test_parts_of_cbam_start_neutrally(parts, feature):
    x = feature(2, 8, 5, 4)
    for norm in (True, False):
        module = ConvolutionalBlockAttention(8, norm=norm, parts=parts, neutral=True).double()
        torch.testing.assert_close(module(x), x, rtol=1e-12, atol=0)


@pytest.mark.parametrize("channels", [64, 256])
@pytest.mark.parametrize("kernel_size", [3, 7])
def test_cbam_equals_timm(channels, kernel_size, feature, reference, assert_same_function):
    ours = ConvolutionalBlockAttention(channels, kernel_size=kernel_size, min_hidden=1)
    theirs = reference("timm.layers.cbam").CbamModule(channels, spatial_kernel_size=kernel_size, mlp_bias=True)
    layers = {
        "channel.fc1": "perceptron.squeeze",
        "channel.fc2": "perceptron.excite",
        "spatial.conv.conv": "conv",
        "spatial.conv.bn": "norm",
    }

    def mean_before_max(theirs):
        weight = theirs.spatial.conv.conv.weight
        weight.data = weight.data.flip(1)

    assert_same_function(ours, theirs, layers, feature(2, channels, 9, 8), adapt=mean_before_max)


@pytest.mark.parametrize(("channels", "hidden"), [(64, 4), (256, 16), (17, 1)])
@pytest.mark.parametrize("kernel_size", [3, 7])
def test_cbam_costs_its_closed_form(channels, hidden, kernel_size):
    module = ConvolutionalBlockAttention(channels, kernel_size=kernel_size, min_hidden=1)
    window = 2 * kernel_size**2
    assert count_parameters(module) == 2 * channels * hidden + hidden + channels + window + 2
    assert count_macs(module, (1, channels, 9, 12)) == 4 * channels * hidden + window * 9 * 12


def test_cbam_moves_its_running_statistics_by_a_hundredth(feature):
    module = ConvolutionalBlockAttention(8).double()
    module(feature(4, 8, 6, 6))
    assert module.norm.running_var.item() == pytest.approx(0.99, abs=0.01)
    assert module.norm.momentum == 0.01


def test_cbam_explains_why_one_value_cannot_be_trained_on(feature):
    module = ConvolutionalBlockAttention(8).double()
    with pytest.raises(
        AttentionError, match=r"^cbam cannot be trained on a single image with a 1x1 map: .*at leas"
    ):
        module(feature(1, 8, 1, 1))


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _by_channel(x, w):
    def perceptron(z):
        hidden = np.maximum(z @ w["perceptron.squeeze.weight"].T + w["perceptron.squeeze.bias"], 0)
        return hidden @ w["perceptron.excite.weight"].T + w["perceptron.excite.bias"]

    weights = _sigmoid(perceptron(x.mean((2, 3))) + perceptron(x.max((2, 3))))
    return x * weights[:, :, None, None]


def _by_position(x, w, training):
    kernel = w["conv.weight"][0]
    reach = kernel.shape[-1] // 2
    pooled = np.stack((x.max(1), x.mean(1)), 1)
    padded = np.pad(pooled, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[1:], (2, 3))
    convolved = np.einsum("nchwij,cij->nhw", windows, kernel)
    if "norm.weight" not in w:
        return x * _sigmoid(convolved)[:, None]
    mean = convolved.mean() if training else w["norm.running_mean"]
    variance = convolved.var() if training else w["norm.running_var"]
    normalised = (convolved - mean) / np.sqrt(variance + 1e-5) * w["norm.weight"] + w["norm.bias"]
    return x * _sigmoid(normalised)[:, None]
