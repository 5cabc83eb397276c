"""Dynamic convolution against its equation, its falling temperature, and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.errors import AttentionError
from nas_attn.models.attention.dynamic import DynamicConvolution
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("temperature", [30.0, 1.0])
@pytest.mark.parametrize(("channels", "kernels", "size"), [(8, 3, (4, 5)), (1, 1, (3, 1)), (3, 2, (1, 1))])
def test_each_image_is_convolved_by_the_average_that_it_asks_for(
    channels, kernels, size, temperature, feature, spread, arrays, convolved
):
    module, x = spread(DynamicConvolution(channels, kernels)), feature(3, channels, *size)
    module.temperature.fill_(temperature)
    w = arrays(module)
    bank = w["bank.weight"].reshape(kernels, channels, channels, 3, 3)
    expected = []
    for image in x.numpy():
        asked = w["excite.weight"] @ np.maximum(w["squeeze.weight"] @ image.mean((1, 2)), 0) / temperature
        mix = np.exp(asked) / np.exp(asked).sum()
        kernel = sum(share * one for share, one in zip(mix, bank, strict=True))
        expected.append(convolved(image[None], kernel, mix @ w["bias"]))
    np.testing.assert_allclose(module(x).detach(), np.concatenate(expected), rtol=1e-9, atol=1e-11)


def test_equal_kernels_make_it_a_plain_convolution(feature, spread):
    module, x = spread(DynamicConvolution(4)), feature(2, 4, 5, 6)
    plain = nn.Conv2d(4, 4, 3, padding=1).double()
    with torch.no_grad():
        module.bank.weight.copy_(plain.weight.flatten())
        module.bias.copy_(plain.bias)
    torch.testing.assert_close(module(x), plain(x))


@pytest.mark.parametrize(("step", "temperature"), [(0, 30.0), (5, 15.5), (9, 3.9), (10, 1.0), (99, 1.0)])
def test_temperature_falls_to_one_within_a_tenth_of_the_steps(step, temperature):
    module = DynamicConvolution(4)
    module.begin_step(torch.tensor([step]), 100, 0)
    assert module.temperature.item() == pytest.approx(temperature)


def test_temperature_is_part_of_the_saved_state():
    trained, fresh = DynamicConvolution(4), DynamicConvolution(4)
    trained.begin_step(torch.tensor([50]), 100, 0)
    assert fresh.temperature == 30
    fresh.load_state_dict(trained.state_dict())
    assert fresh.temperature == 1


def test_hot_attention_is_nearly_even(feature, spread):
    """At the start all kernels learn."""
    module, x = spread(DynamicConvolution(8, temperature=1e6)), feature(2, 8, 4, 4)
    module.reset_parameters()
    even = nn.functional.conv2d(x, module.bank.weight.mean(0).view(8, 8, 3, 3), module.bias.mean(0), padding=1)
    torch.testing.assert_close(module(x), even, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("channels", "kernels", "reduction"), [(64, 4, 4), (17, 3, 2), (1, 1, 4)])
def test_dynamic_convolution_costs_its_closed_form(channels, kernels, reduction):
    module, hidden = DynamicConvolution(channels, kernels, reduction, min_hidden=1), max(1, channels // reduction)
    perceptron = channels * hidden + hidden * kernels
    assert count_parameters(module) == 9 * kernels * channels**2 + kernels * channels + perceptron
    mixing = 9 * kernels * channels**2 + kernels * channels
    assert count_macs(module, (1, channels, 9, 12)) == 9 * channels**2 * 9 * 12 + perceptron + mixing


def test_dynamic_convolution_has_the_sizes_of_the_published_table():
    assert [count_parameters(DynamicConvolution(channels)) for channels in (64, 256)] == [148800, 2376960]


def test_a_temperature_below_one_is_refused():
    with pytest.raises(AttentionError, match=r"^dynamic: temperature is 0.5; it must be a number of at least 1$"):
        DynamicConvolution(8, temperature=0.5)
