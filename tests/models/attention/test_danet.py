"""Dual attention against its equation and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from nas_attn.errors import AttentionError
from nas_attn.models.attention.danet import DualAttention
from nas_attn.training.metrics import count_macs, count_parameters

ENERGIES = pytest.mark.parametrize(("energy", "sign"), [("product", 1), ("inverted", -1)])


@ENERGIES
@pytest.mark.parametrize(("channels", "reduction", "size"), [(16, 8, (4, 5)), (5, 2, (3, 1)), (1, 8, (1, 1))])
def test_danet_follows_the_equations_of_its_paper(
    channels, reduction, size, energy, sign, feature, spread, arrays
):
    module = spread(DualAttention(channels, reduction=reduction, energy=energy))
    x = 0.3 * feature(2, channels, *size)
    w, rows = arrays(module), x.numpy().reshape(2, channels, -1)
    q, k, v = (
        np.einsum("dc,ncp->ndp", w[f"position.{name}.weight"][:, :, 0, 0], rows)
        + w[f"position.{name}.bias"][:, None]
        for name in ("query", "key", "value")
    )
    by_position = np.einsum("nij,ncj->nci", _softmax(np.einsum("ndi,ndj->nij", q, k)), v)
    by_channel = _softmax(sign * rows @ rows.swapaxes(1, 2)) @ rows
    expected = rows + w["position.gamma"] * by_position + w["channel.beta"] * by_channel
    np.testing.assert_allclose(module(x).detach().numpy(), expected.reshape(x.shape), rtol=1e-10, atol=1e-12)


@ENERGIES
def test_danet_and_its_gradients_equal_two_scaled_dot_product_attentions(energy, sign, feature, spread):
    module = spread(DualAttention(16, energy=energy))
    x = (0.3 * feature(2, 16, 3, 4)).requires_grad_()
    layers = module.position.query, module.position.key, module.position.value
    q, k, v = (layer(x).flatten(2).transpose(1, 2) for layer in layers)
    rows = x.flatten(2)
    by_position = functional.scaled_dot_product_attention(q, k, v, scale=1.0).transpose(1, 2).reshape(x.shape)
    by_channel = functional.scaled_dot_product_attention(rows, rows, rows, scale=float(sign)).view(x.shape)
    expected = x + module.position.gamma * by_position + module.channel.beta * by_channel
    leaves = [x, *(p for name, p in module.named_parameters() if name != "position.key.bias")]
    cotangent = feature(2, 16, 3, 4, seed=2)
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(
        torch.autograd.grad(module(x), leaves, cotangent), torch.autograd.grad(expected, leaves, cotangent)
    )


@pytest.mark.parametrize(
    ("channels", "reduction", "hidden"), [(64, 8, 8), (256, 8, 32), (64, 4, 16), (17, 8, 2), (1, 8, 1)]
)
def test_danet_costs_its_closed_form(channels, reduction, hidden):
    module, positions = DualAttention(channels, reduction=reduction), 9 * 12
    assert count_parameters(module) == 2 * channels * hidden + 2 * hidden + channels**2 + channels + 2
    by_position = positions * (2 * channels * hidden + channels**2) + positions**2 * (hidden + channels)
    assert count_macs(module, (1, channels, 9, 12)) == by_position + 2 * channels**2 * positions


def test_danet_has_the_sizes_of_the_published_table():
    assert [count_parameters(DualAttention(channels)) for channels in (64, 256)] == [5202, 82242]


def test_danet_starts_as_an_exact_identity_of_which_both_halves_can_learn(feature):
    module, x = DualAttention(8).double(), feature(2, 8, 5, 4)
    output = module(x)
    assert torch.equal(output, x)
    output.square().sum().backward()
    assert module.position.gamma.grad.abs() > 1e-3
    assert module.channel.beta.grad.abs() > 1e-3


def test_danet_names_itself_when_it_refuses():
    with pytest.raises(AttentionError) as refused:
        DualAttention(0, reduction=0, energy="none")
    assert refused.value.problems == (
        "danet: channels is 0; it must be a whole number of at least 1",
        "danet: reduction is 0; it must be a whole number of at least 1",
        "danet: energy is 'none'; it must be inverted | product",
    )


def _softmax(logits):
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)
