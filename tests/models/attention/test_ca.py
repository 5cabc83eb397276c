"""Coordinate attention against its equations, timm and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_attn.errors import AttentionError
from nas_attn.models.attention.ca import CoordinateAttention
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("channels", "reduction", "size"), [(32, 2, (5, 8)), (3, 32, (7, 2)), (1, 1, (1, 1))])
def test_ca_follows_the_equations_of_its_paper(channels, reduction, size, training, feature, spread, arrays):
    module = spread(CoordinateAttention(channels, reduction=reduction)).train(training)
    x = feature(2, channels, *size)
    w = arrays(module)
    rows, columns = x.numpy().mean(3), x.numpy().mean(2)
    strips = np.concatenate((rows, columns), 2)
    squeezed = np.einsum("ncl,mc->nml", strips, w["squeeze.weight"][:, :, 0, 0]) + w["squeeze.bias"][:, None]
    hidden = _hard_swish(_normalised(squeezed, w, training))
    row_weights = _excited(hidden[:, :, : size[0]], w, "excite_rows")
    column_weights = _excited(hidden[:, :, size[0] :], w, "excite_columns")
    expected = x.numpy() * row_weights[:, :, :, None] * column_weights[:, :, None, :]
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-11)


@pytest.mark.parametrize("channels", [64, 512])
def test_ca_equals_timm(channels, feature, reference, assert_same_function):
    ours = CoordinateAttention(channels)
    theirs = reference("timm.layers.coord_attn").CoordAttn(channels, rd_channels=max(8, channels // 32), bias=True)
    layers = {"conv1": "squeeze", "bn1": "norm", "conv_h": "excite_rows", "conv_w": "excite_columns"}
    assert_same_function(ours, theirs, layers, feature(2, channels, 6, 9))


@pytest.mark.parametrize(("channels", "hidden"), [(64, 8), (256, 8), (512, 16), (17, 8)])
def test_ca_costs_its_closed_form(channels, hidden):
    module = CoordinateAttention(channels)
    assert count_parameters(module) == 3 * channels * hidden + 3 * hidden + 2 * channels
    assert count_macs(module, (1, channels, 9, 12)) == 2 * channels * hidden * (9 + 12)


@given(seed=st.integers(0, 1000), height=st.integers(1, 6), width=st.integers(1, 6))
@settings(max_examples=20)
def test_ca_follows_its_rows_and_columns_when_they_trade_places(seed, height, width):
    torch.manual_seed(seed)
    module, x = CoordinateAttention(4).double(), torch.randn(2, 4, height, width).double()
    rows, columns = torch.randperm(height), torch.randperm(width)
    torch.testing.assert_close(module(x[:, :, rows][:, :, :, columns]), module(x)[:, :, rows][:, :, :, columns])


def test_ca_trains_on_a_single_image_of_one_position(feature):
    assert torch.isfinite(CoordinateAttention(8).double()(feature(1, 8, 1, 1))).all()


def test_ca_refuses_a_reduction_below_one():
    with pytest.raises(AttentionError, match=r"^ca: reduction is 0; it must be a whole number of at least 1$"):
        CoordinateAttention(8, reduction=0)


def _hard_swish(z):
    return z * np.clip(z + 3, 0, 6) / 6


def _normalised(z, w, training):
    mean = z.mean((0, 2)) if training else w["norm.running_mean"]
    variance = z.var((0, 2)) if training else w["norm.running_var"]
    scaled = (z - mean[:, None]) / np.sqrt(variance + 1e-5)[:, None]
    return scaled * w["norm.weight"][:, None] + w["norm.bias"][:, None]


def _excited(z, w, name):
    logits = np.einsum("nml,cm->ncl", z, w[f"{name}.weight"][:, :, 0, 0]) + w[f"{name}.bias"][:, None]
    return 1 / (1 + np.exp(-logits))
