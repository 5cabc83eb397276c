"""Spatial attention against its equation, timm and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.errors import AttentionError
from nas_attn.models.attention.cbam import ConvolutionalBlockAttention
from nas_attn.models.attention.spatial import SpatialAttention
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("norm", [False, True], ids=["plain", "normalised"])
@pytest.mark.parametrize(("channels", "kernel_size"), [(6, 7), (5, 3), (4, 1), (1, 7)])
def test_spatial_follows_the_equation_of_its_paper(channels, kernel_size, norm, training, feature, spread, arrays):
    module = spread(SpatialAttention(channels, kernel_size=kernel_size, norm=norm)).train(training)
    x = feature(2, channels, 5, 8)
    w = arrays(module)
    logits = _convolved(x.numpy(), w["gate.conv.weight"][0])
    if norm:
        mean = logits.mean() if training else w["gate.norm.running_mean"]
        variance = logits.var() if training else w["gate.norm.running_var"]
        logits = (logits - mean) / np.sqrt(variance + 1e-5) * w["gate.norm.weight"] + w["gate.norm.bias"]
    expected = x.numpy() / (1 + np.exp(-logits))[:, None]
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-11)


@pytest.mark.parametrize("kernel_size", [3, 7])
def test_spatial_equals_timm(kernel_size, feature, reference, assert_same_function):
    ours = SpatialAttention(16, kernel_size=kernel_size)
    theirs = reference("timm.layers.cbam").SpatialAttn(kernel_size)

    def mean_before_max(theirs):
        theirs.conv.conv.weight.data = theirs.conv.conv.weight.data.flip(1)

    layers = {"conv.conv": "gate.conv", "conv.bn": "gate.norm"}
    assert_same_function(ours, theirs, layers, feature(2, 16, 9, 8), adapt=mean_before_max)


def test_spatial_is_the_second_step_of_cbam(feature, spread):
    cbam = spread(ConvolutionalBlockAttention(8))
    with torch.no_grad():
        for parameter in cbam.perceptron.parameters():
            parameter.zero_()  # its channels are then all halved
    alone = SpatialAttention(8).double()
    alone.gate.conv.load_state_dict(cbam.conv.state_dict())
    alone.gate.norm.load_state_dict(cbam.norm.state_dict())
    x = feature(2, 8, 6, 5)
    torch.testing.assert_close(alone.eval()(x / 2), cbam.eval()(x))
    assert alone.gate.norm.momentum == cbam.norm.momentum == 0.01


@pytest.mark.parametrize(
    ("kernel_size", "norm", "parameters"), [(7, True, 100), (7, False, 98), (3, True, 20), (1, True, 4)]
)
def test_spatial_costs_its_closed_form(kernel_size, norm, parameters):
    module = SpatialAttention(64, kernel_size=kernel_size, norm=norm)
    assert count_parameters(module) == 2 * kernel_size**2 + 2 * norm == parameters
    assert count_macs(module, (1, 64, 9, 12)) == 2 * kernel_size**2 * 9 * 12


def test_spatial_explains_why_one_value_cannot_be_normalised(feature):
    x = feature(1, 4, 1, 1)
    with pytest.raises(AttentionError, match=r"^spatial cannot be trained on a single image with a 1x1 map: "):
        SpatialAttention(4).double()(x)
    assert SpatialAttention(4, norm=False).double()(x).isfinite().all()


def test_spatial_refuses_what_it_cannot_use():
    with pytest.raises(AttentionError) as refused:
        SpatialAttention(8, kernel_size=5, norm=1)
    assert refused.value.problems == (
        "spatial: kernel_size is 5; it must be 1 | 3 | 7",
        "spatial: norm is 1; it must be true | false",
    )


def _convolved(x, kernel):
    reach = kernel.shape[-1] // 2
    pooled = np.stack((x.max(1), x.mean(1)), 1)
    padded = np.pad(pooled, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[1:], (2, 3))
    return np.einsum("nchwij,cij->nhw", windows, kernel)
