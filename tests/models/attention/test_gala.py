"""Global-and-local attention against its equations, a second formula and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from nas_attn.errors import AttentionError
from nas_attn.models.attention.gala import GlobalLocalAttention
from nas_attn.training import initialise
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize(("channels", "reduction", "size"), [(8, 4, (5, 4)), (5, 2, (3, 7)), (1, 4, (1, 1))])
def test_gala_follows_the_equations_of_its_paper(channels, reduction, size, feature, spread, arrays):
    module = spread(GlobalLocalAttention(channels, reduction=reduction))
    x = feature(2, channels, *size).numpy()
    w = arrays(module)
    s = _conv(np.maximum(_conv(x, w, "local.0"), 0), w, "local.2")
    mask = np.tanh(_combined(s, _globally(x, w), w))
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach().numpy(), x * mask, rtol=1e-10)


def test_gala_follows_the_code_of_its_authors(feature, spread, arrays):
    module = spread(GlobalLocalAttention(8, variant="code"))
    x = feature(2, 8, 6, 5).numpy()
    w = arrays(module)
    s = np.maximum(_conv(np.maximum(_conv(x, w, "local.0"), 0), w, "local.2"), 0)
    mask = 1 / (1 + np.exp(-_combined(_conv(s, w, "local.4"), np.maximum(_globally(x, w), 0), w)))
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach().numpy(), x * mask, rtol=1e-10)


def test_gala_and_its_gradients_equal_those_of_a_product_of_two_shifted_factors(feature, spread):
    module = spread(GlobalLocalAttention(8, reduction=2))
    x = feature(2, 8, 6, 5).requires_grad_()
    first, second = module.local[0], module.local[2]
    hidden = functional.linear(x.movedim(1, -1), first.weight[:, :, 0, 0], first.bias).relu()
    s = functional.linear(hidden, second.weight[:, :, 0, 0], second.bias).movedim(-1, 1)
    g = module.perceptron(x.flatten(2).mean(2))[..., None, None]
    a, m = (weight[:, None, None] for weight in (module.combine.a, module.combine.m))
    # a (s + g) + m s g = ((m s + a) (m g + a) - a^2) / m
    expected = x * torch.tanh(((m * s + a) * (m * g + a) - a**2) / m)
    leaves, cotangent = [x, *module.parameters()], feature(2, 8, 6, 5, seed=2)
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(
        torch.autograd.grad(module(x), leaves, cotangent), torch.autograd.grad(expected, leaves, cotangent)
    )


def test_gala_draws_the_weights_of_sum_and_product_from_a_normal_that_is_cut_off():
    module = GlobalLocalAttention(4000, reduction=4000)
    initialise(module, 3)
    for weight in (module.combine.a, module.combine.m):
        assert weight.mean().item() == pytest.approx(0, abs=0.06)
        assert weight.var().item() == pytest.approx(1, abs=0.06)
        assert 2.2 < weight.abs().max() < 2.28
    assert not torch.equal(module.combine.a, module.combine.m)


@pytest.mark.parametrize(("channels", "sizes"), [(64, (3313, 9729)), (256, (50113, 152577)), (17, (268, 672))])
def test_gala_costs_its_closed_form(channels, sizes):
    q = channels // 4
    shared = 3 * channels * q + 3 * q + 1 + 3 * channels
    for variant, size, parameters, per_position in (
        ("paper", sizes[0], shared, channels * q + q),
        ("code", sizes[1], shared + 25 * q**2 + q, channels * q + q + 25 * q**2),
    ):
        module = GlobalLocalAttention(channels, variant=variant, min_hidden=1)
        assert count_parameters(module) == parameters == size
        assert count_macs(module, (1, channels, 9, 12)) == 9 * 12 * per_position + 2 * channels * q


def test_gala_refuses_what_it_cannot_use():
    with pytest.raises(AttentionError) as refused:
        GlobalLocalAttention(8, reduction=0, variant="sigmoid")
    assert refused.value.problems == (
        "gala: reduction is 0; it must be a whole number of at least 1",
        "gala: variant is 'sigmoid'; it must be paper | code",
    )


def _conv(x, w, name):
    kernel = w[f"{name}.weight"]
    side = kernel.shape[-1]
    padded = np.pad(x, ((0, 0), (0, 0), (side // 2, side // 2), (side // 2, side // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (2, 3))
    return np.einsum("nchwij,dcij->ndhw", windows, kernel) + w[f"{name}.bias"][:, None, None]


def _globally(x, w):
    hidden = np.maximum(x.mean((2, 3)) @ w["perceptron.squeeze.weight"].T + w["perceptron.squeeze.bias"], 0)
    return (hidden @ w["perceptron.excite.weight"].T + w["perceptron.excite.bias"])[:, :, None, None]


def _combined(s, g, w):
    return w["combine.a"][:, None, None] * (s + g) + w["combine.m"][:, None, None] * (s * g)
