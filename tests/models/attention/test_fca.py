"""Frequency channel attention against its equations, SciPy's cosine transform and its closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import fft

from nas_attn.errors import AttentionError
from nas_attn.models.attention.fca import FrequencyChannelAttention
from nas_attn.models.attention.se import SqueezeExcite
from nas_attn.training.metrics import count_macs, count_parameters

# The sixteen best of the authors' ablation: rows, then columns.
ROWS = (0, 0, 6, 0, 0, 1, 1, 4, 5, 1, 3, 0, 0, 0, 3, 2)
COLUMNS = (0, 1, 0, 5, 2, 0, 2, 0, 0, 6, 0, 4, 6, 3, 5, 2)


@pytest.mark.parametrize(
    ("channels", "frequencies", "groups", "size"),
    [(32, 16, 16, (9, 12)), (24, 16, 8, (7, 7)), (6, 4, 2, (15, 5)), (5, 16, 1, (3, 4)), (1, 2, 1, (1, 1))],
)
def test_fca_follows_the_equations_of_its_paper(channels, frequencies, groups, size, feature, spread, arrays):
    module = spread(FrequencyChannelAttention(channels, frequencies=frequencies, reduction=4))
    x = feature(2, channels, *size)
    w = arrays(module)
    pooled = _pooled(x.numpy(), 7)
    found = np.zeros((2, channels))
    for channel in range(channels):
        group = channel // (channels // groups)
        for i in range(7):
            for j in range(7):
                wave = math.cos(math.pi * ROWS[group] * (i + 0.5) / 7)
                wave *= math.cos(math.pi * COLUMNS[group] * (j + 0.5) / 7)
                wave *= math.sqrt(2 if ROWS[group] else 1) * math.sqrt(2 if COLUMNS[group] else 1) / 7
                found[:, channel] += pooled[:, channel, i, j] * wave
    expected = x.numpy() * _weights(found, w)[:, :, None, None]
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("size", [7, 14, 28])
def test_fca_picks_coefficients_of_the_cosine_transform(size, feature, spread, arrays):
    module = spread(FrequencyChannelAttention(32, size=size, min_hidden=1))
    x = feature(2, 32, size, size)
    spectrum = fft.dctn(x.numpy(), axes=(2, 3), norm="ortho")
    found = np.stack(
        [spectrum[:, c, ROWS[c // 2] * size // 7, COLUMNS[c // 2] * size // 7] for c in range(32)], axis=1
    )
    expected = x.numpy() * _weights(found, arrays(module))[:, :, None, None]
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-6)


def test_fca_with_the_lowest_frequency_alone_is_se_of_seven_times_the_average(feature, spread):
    ours = spread(FrequencyChannelAttention(8, frequencies=1, reduction=2))
    theirs = SqueezeExcite(8, reduction=2, bias=False).double()
    theirs.perceptron.load_state_dict(ours.perceptron.state_dict())
    x = feature(2, 8, 14, 21).requires_grad_()
    theirs.perceptron.squeeze.weight.data.mul_(7)
    cotangent = feature(2, 8, 14, 21, seed=2)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        torch.autograd.grad(ours(x), x, cotangent),
        torch.autograd.grad(theirs(x), x, cotangent),
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.parametrize(("size", "frequencies"), [(7, 16), (14, 16), (56, 8)])
def test_fca_measures_orthonormal_frequencies(size, frequencies):
    basis = (
        FrequencyChannelAttention(16, frequencies=frequencies, size=size).basis[:: 16 // frequencies].flatten(1)
    )
    torch.testing.assert_close(basis @ basis.T, torch.eye(frequencies), rtol=1e-5, atol=1e-5)


def test_fca_saves_nothing_but_its_weights():
    assert list(FrequencyChannelAttention(16).state_dict()) == [
        "perceptron.squeeze.weight",
        "perceptron.excite.weight",
    ]


@pytest.mark.parametrize(("channels", "hidden"), [(64, 4), (256, 16), (17, 1)])
def test_fca_costs_its_closed_form(channels, hidden):
    module = FrequencyChannelAttention(channels, min_hidden=1)
    assert count_parameters(module) == 2 * channels * hidden
    assert count_macs(module, (1, channels, 9, 12)) == 2 * channels * hidden


def test_fca_refuses_frequencies_that_no_groups_of_channels_could_share():
    with pytest.raises(AttentionError) as refused:
        FrequencyChannelAttention(8, frequencies=3, size=8)
    assert refused.value.problems == (
        "fca: frequencies is 3; it must be 1 | 2 | 4 | 8 | 16",
        "fca: size is 8; it must be 7 | 14 | 28 | 56",
    )


def _pooled(x, size):
    """Averages over bins that begin at floor(i H / size) and end before ceil((i + 1) H / size)."""
    height, width = x.shape[2:]
    pooled = np.zeros((*x.shape[:2], size, size))
    for i in range(size):
        rows = slice(i * height // size, -(-(i + 1) * height // size))
        for j in range(size):
            columns = slice(j * width // size, -(-(j + 1) * width // size))
            pooled[:, :, i, j] = x[:, :, rows, columns].mean((2, 3))
    return pooled


def _weights(found, w):
    hidden = np.maximum(found @ w["perceptron.squeeze.weight"].T, 0)
    return 1 / (1 + np.exp(-hidden @ w["perceptron.excite.weight"].T))
