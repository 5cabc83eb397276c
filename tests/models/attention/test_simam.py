"""Parameter-free attention against its energy, a second formula and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_attn.errors import AttentionError
from nas_attn.models.attention.simam import SimpleAttention
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("regulariser", [1e-4, 0.1, 2])
@pytest.mark.parametrize(("channels", "size"), [(3, (5, 4)), (1, (1, 6))])
def test_simam_weighs_by_the_inverse_of_the_minimal_energy(channels, size, regulariser, feature):
    x = feature(2, channels, *size)
    expected = np.empty_like(x.numpy())
    for image in range(2):
        for channel in range(channels):
            plane = x.numpy()[image, channel]
            mean, variance = plane.mean(), plane.var(ddof=1)
            energy = 4 * (variance + regulariser) / ((plane - mean) ** 2 + 2 * variance + 2 * regulariser)
            expected[image, channel] = plane / (1 + np.exp(-1 / energy))
    module = SimpleAttention(channels, regulariser=regulariser)
    np.testing.assert_allclose(module(x).numpy(), expected, rtol=1e-12)


def test_simam_and_its_gradients_equal_those_of_a_standard_score(feature):
    x = feature(2, 4, 5, 6).requires_grad_()
    variance, mean = torch.var_mean(x, (2, 3), keepdim=True)
    score = (x - mean) / (variance + 0.1).sqrt()
    expected = x * torch.sigmoid((score / 2) ** 2 + 0.5)
    output, cotangent = SimpleAttention(4, regulariser=0.1)(x), feature(2, 4, 5, 6, seed=2)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(
        torch.autograd.grad(output, x, cotangent), torch.autograd.grad(expected, x, cotangent)
    )


@given(value=st.floats(-10, 10), height=st.integers(1, 4), width=st.integers(1, 4))
@settings(max_examples=20)
def test_simam_scales_a_constant_map_by_the_sigmoid_of_a_half(value, height, width):
    x = torch.full((1, 2, height, width), value, dtype=torch.float64)
    torch.testing.assert_close(SimpleAttention(2)(x), x / (1 + np.exp(-0.5)))


def test_simam_favours_what_stands_out():
    x = torch.ones(1, 1, 5, 5)
    x[0, 0, 2, 3] = 4
    weights = SimpleAttention(1)(x) / x
    assert weights.argmax() == 2 * 5 + 3


def test_simam_costs_nothing():
    module = SimpleAttention(64)
    assert (count_parameters(module), count_macs(module, (1, 64, 9, 12))) == (0, 0)


def test_simam_refuses_a_regulariser_of_zero():
    with pytest.raises(
        AttentionError, match=r"^simam: regulariser is 0\.0; it must be a number of at least 1e-08$"
    ):
        SimpleAttention(8, regulariser=0.0)
