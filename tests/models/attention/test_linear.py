"""Efficient attention against its equation, the matrix that it never writes down, and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.errors import AttentionError
from nas_attn.models.attention.linear import EfficientAttention
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize(
    ("channels", "heads", "reduction", "size"),
    [(16, 1, 2, (4, 5)), (16, 4, 1, (3, 7)), (6, 2, 2, (5, 1)), (1, 8, 2, (1, 1))],
)
def test_efficient_attention_follows_the_equation_of_its_paper(
    channels, heads, reduction, size, feature, spread, arrays
):
    module, x = spread(EfficientAttention(channels, heads=heads, reduction=reduction)), feature(2, channels, *size)
    w = arrays(module)
    q, k, v = (_conv(x.numpy(), w, name) for name in ("query", "key", "value"))
    width = q.shape[1] // heads
    heard = np.zeros_like(v)
    for image in range(2):
        for head in range(heads):
            own = slice(head * width, (head + 1) * width)
            contexts = [v[image, own] @ _softmax(channel) for channel in k[image, own]]
            for i in range(q.shape[2]):
                mix = _softmax(q[image, own, i])
                heard[image, own, i] = sum(part * context for part, context in zip(mix, contexts, strict=True))
    expected = x.numpy() + _conv(heard, w, "project").reshape(x.shape)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("heads", [1, 4])
def test_efficient_attention_and_its_gradients_equal_those_of_explicit_weights(heads, feature, spread):
    module, x = spread(EfficientAttention(16, heads=heads)), feature(2, 16, 4, 5).requires_grad_()
    q, k, v = (layer(x).view(2, heads, -1, 20) for layer in (module.query, module.key, module.value))
    weights = torch.einsum("nhai,nhaj->nhij", q.softmax(2), k.softmax(3))
    torch.testing.assert_close(weights.sum(3), torch.ones(2, heads, 20).double())
    heard = torch.einsum("nhij,nhcj->nhci", weights, v)
    expected = x + module.project(heard.reshape(2, -1, 4, 5))
    leaves = [x, *(p for name, p in module.named_parameters() if name != "key.bias")]
    cotangent = feature(2, 16, 4, 5, seed=2)
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(
        torch.autograd.grad(module(x), leaves, cotangent), torch.autograd.grad(expected, leaves, cotangent)
    )


@pytest.mark.parametrize(
    ("channels", "heads", "hidden"),
    [(64, 1, 32), (256, 1, 128), (256, 8, 128), (72, 8, 32), (24, 8, 16), (5, 1, 2), (1, 1, 2), (1, 8, 16)],
)
def test_efficient_attention_costs_its_closed_form(channels, heads, hidden):
    module, positions = EfficientAttention(channels, heads=heads), 9 * 12
    assert count_parameters(module) == 4 * channels * hidden + 3 * hidden + channels
    macs = positions * 4 * channels * hidden + 2 * positions * hidden**2 // heads
    assert count_macs(module, (1, channels, 9, 12)) == macs


def test_efficient_attention_has_the_sizes_of_the_published_table():
    assert [count_parameters(EfficientAttention(channels)) for channels in (64, 256)] == [8352, 131712]


@pytest.mark.parametrize("heads", [1, 8])
def test_queries_have_a_say_even_on_a_map_of_one_channel(heads, feature, spread):
    module, x = spread(EfficientAttention(1, heads=heads)), feature(2, 1, 4, 3)
    module(x).square().sum().backward()
    assert module.query.weight.grad.abs().min() > 1e-6


def test_where_all_positions_are_alike_each_hears_itself(feature, spread):
    module = spread(EfficientAttention(8, heads=2))
    x = feature(2, 8, 1, 1).expand(-1, -1, 4, 3)
    torch.testing.assert_close(module(x), x + module.project(module.value(x)))


def test_efficient_attention_does_not_care_where_in_the_map_a_value_stands(feature, spread):
    module, x = spread(EfficientAttention(8, heads=2)), feature(2, 8, 3, 5)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(0))
    moved = module(x.flatten(2)[:, :, order].view(x.shape)).flatten(2)
    torch.testing.assert_close(moved, module(x).flatten(2)[:, :, order])


def test_efficient_attention_refuses_three_heads():
    with pytest.raises(AttentionError, match=r"^linear: heads is 3; it must be 1 \| 2 \| 4 \| 8$"):
        EfficientAttention(8, heads=3)


def _softmax(z):
    weights = np.exp(z - z.max())
    return weights / weights.sum()


def _conv(x, w, name):
    """The 1x1 convolution of a map, its positions in one row."""
    flat = x.reshape(*x.shape[:2], -1)
    return np.einsum("ncp,dc->ndp", flat, w[f"{name}.weight"][:, :, 0, 0]) + w[f"{name}.bias"][:, None]
