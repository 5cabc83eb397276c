"""Position attention against its equations and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from nas_attn.errors import AttentionError
from nas_attn.models.attention.pam import PositionAttention
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize(("channels", "reduction", "size"), [(16, 8, (4, 5)), (5, 8, (3, 7)), (6, 1, (1, 1))])
def test_pam_follows_the_equations_of_its_paper(channels, reduction, size, feature, spread, arrays):
    module = spread(PositionAttention(channels, reduction=reduction))
    x = feature(2, channels, *size)
    w = arrays(module)
    q, k, v = (_conv(x.numpy(), w, name).reshape(2, -1, size[0] * size[1]) for name in ("query", "key", "value"))
    heard = np.zeros_like(v)
    for image in range(2):
        for i in range(v.shape[2]):
            energy = np.array([q[image, :, i] @ k[image, :, j] for j in range(v.shape[2])])
            weights = np.exp(energy - energy.max())
            heard[image, :, i] = v[image] @ (weights / weights.sum())
    expected = x.numpy() + w["gamma"] * heard.reshape(x.shape)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-11, atol=1e-13)


def test_pam_and_its_gradients_equal_those_of_scaled_dot_product_attention(feature, spread):
    module = spread(PositionAttention(16))
    x = feature(2, 16, 5, 6).requires_grad_()
    q, k, v = (layer(x).flatten(2).transpose(1, 2) for layer in (module.query, module.key, module.value))
    heard = functional.scaled_dot_product_attention(q, k, v, scale=1.0)
    expected = x + module.gamma * heard.transpose(1, 2).reshape(x.shape)
    leaves = [x, *(p for name, p in module.named_parameters() if name != "key.bias")]
    cotangent = feature(2, 16, 5, 6, seed=2)
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(
        torch.autograd.grad(module(x), leaves, cotangent), torch.autograd.grad(expected, leaves, cotangent)
    )


@pytest.mark.parametrize(("channels", "hidden"), [(64, 8), (256, 32), (17, 2), (1, 1)])
@pytest.mark.parametrize("size", [(9, 12), (80, 80)], ids=["plain", "fused"])
def test_pam_costs_its_closed_form(channels, hidden, size):
    module, positions = PositionAttention(channels), size[0] * size[1]
    assert count_parameters(module) == 2 * channels * hidden + 2 * hidden + channels**2 + channels + 1
    convolutions = positions * (2 * channels * hidden + channels**2)
    assert count_macs(module, (1, channels, *size)) == convolutions + positions**2 * (hidden + channels)


@pytest.mark.parametrize("pool", [2, 4])
@pytest.mark.parametrize("size", [(8, 4), (5, 7), (3, 1), (1, 1)], ids=str)
def test_pooled_keys_and_values_are_averages_over_squares(pool, size, feature, spread, arrays):
    module, x = spread(PositionAttention(6, reduction=2, pool=pool)), feature(2, 6, *size)
    w, (height, width) = arrays(module), size
    corners = [(top, left) for top in range(0, height, pool) for left in range(0, width, pool)]
    squares = [x.numpy()[:, :, top : top + pool, left : left + pool].mean((2, 3)) for top, left in corners]
    averaged = np.stack(squares, 2)[..., None]
    q = _conv(x.numpy(), w, "query").reshape(2, 3, -1)
    k, v = (_conv(averaged, w, name)[..., 0] for name in ("key", "value"))
    weights = np.exp(np.einsum("ndi,ndj->nij", q, k))
    heard = np.einsum("nij,ncj->nci", weights / weights.sum(2, keepdims=True), v)
    expected = x.numpy() + w["gamma"] * heard.reshape(x.shape)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_pooling_by_one_pixel_is_the_module_of_the_paper(feature, spread):
    one, other, x = spread(PositionAttention(6)), spread(PositionAttention(6, pool=1)), feature(2, 6, 5, 4)
    assert torch.equal(one(x), other(x))


@pytest.mark.parametrize(("pool", "keys"), [(2, 5 * 6), (4, 3 * 3)])
def test_pooled_pam_costs_its_closed_form(pool, keys):
    module, positions = PositionAttention(64, pool=pool), 9 * 12
    assert count_parameters(module) == 5201
    convolutions = positions * 64 * 8 + keys * (64 * 8 + 64**2)
    assert count_macs(module, (1, 64, 9, 12)) == convolutions + positions * keys * (8 + 64)


def test_pam_starts_as_an_exact_identity_that_can_learn(feature):
    module, x = PositionAttention(8).double(), feature(2, 8, 5, 4)
    output = module(x)
    assert torch.equal(output, x)
    output.square().sum().backward()
    assert module.gamma.grad.abs() > 1e-3


def test_pam_does_not_scale_its_dot_products(feature):
    module = PositionAttention(32, reduction=2).double()
    with torch.no_grad():
        for layer in (module.query, module.key):
            layer.weight.copy_(torch.eye(16, 32, dtype=torch.float64)[:, :, None, None])
            layer.bias.zero_()
        module.gamma.fill_(1.0)
    x = torch.zeros(1, 32, 1, 2, dtype=torch.float64)
    x[0, 0] = torch.tensor([[0.0, 3.0]])
    value = module.value(x)[0, :, 0]
    weight = 1 / (1 + np.exp(-9.0))  # of position 1 on itself: softmax over (3 * 0, 3 * 3)
    expected = x[0, :, 0, 1] + (1 - weight) * value[:, 0] + weight * value[:, 1]
    torch.testing.assert_close(module(x)[0, :, 0, 1], expected)


@given(seed=st.integers(0, 1000), height=st.integers(1, 5), width=st.integers(1, 5))
@settings(max_examples=20)
def test_pam_does_not_care_where_in_the_map_a_value_stands(seed, height, width):
    torch.manual_seed(seed)
    module = PositionAttention(4).double()
    torch.nn.init.ones_(module.gamma)
    x, order = torch.randn(2, 4, height * width).double(), torch.randperm(height * width)
    moved = module(x[:, :, order].view(2, 4, height, width)).flatten(2)
    torch.testing.assert_close(moved, module(x.view(2, 4, height, width)).flatten(2)[:, :, order])


def test_pam_refuses_a_reduction_below_one():
    with pytest.raises(AttentionError, match=r"^pam: reduction is -1; it must be a whole number of at least 1$"):
        PositionAttention(8, reduction=-1)


def test_pam_refuses_to_pool_by_three():
    with pytest.raises(AttentionError, match=r"^pam: pool is 3; it must be 1 \| 2 \| 4$"):
        PositionAttention(8, pool=3)


def _conv(x, w, name):
    return np.einsum("nchw,dc->ndhw", x, w[f"{name}.weight"][:, :, 0, 0]) + w[f"{name}.bias"][:, None, None]
