"""Efficient channel attention against its equation, timm and its closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas_attn.errors import AttentionError
from nas_attn.models.attention.eca import EfficientChannelAttention
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize(("channels", "kernel_size"), [(16, 3), (16, 9), (130, "auto"), (4, 9), (1, 3)])
def test_eca_follows_the_equation_of_its_paper(channels, kernel_size, feature, spread, arrays):
    module = spread(EfficientChannelAttention(channels, kernel_size=kernel_size))
    x = feature(2, channels, 5, 4)
    kernel = arrays(module)["conv.weight"][0, 0]
    reach = len(kernel) // 2
    pooled = x.numpy().mean((2, 3))
    seen = np.zeros_like(pooled)
    for channel in range(channels):
        for offset in range(-reach, reach + 1):
            if 0 <= channel + offset < channels:
                seen[:, channel] += kernel[reach + offset] * pooled[:, channel + offset]
    expected = x.numpy() / (1 + np.exp(-seen))[:, :, None, None]
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("channels", "size"),
    [(1, 3), (4, 3), (8, 3), (127, 3), (128, 5), (512, 5), (2047, 5), (2048, 7), (32768, 9)],
)
def test_eca_sizes_its_kernel_by_the_rule_of_its_paper(channels, size):
    by_paper = max(3, int(abs(math.log2(channels) / 2 + 1 / 2)) | 1)
    assert EfficientChannelAttention(channels).conv.kernel_size == (by_paper,) == (size,)


@pytest.mark.parametrize("channels", [64, 256])
def test_eca_equals_timm(channels, feature, reference, assert_same_function):
    ours = EfficientChannelAttention(channels)
    theirs = reference("timm.layers").EcaModule(channels=channels)
    assert_same_function(ours, theirs, {"conv": "conv"}, feature(2, channels, 6, 5))


@pytest.mark.parametrize(("channels", "size"), [(64, 3), (256, 5), (17, 3)])
def test_eca_costs_its_closed_form(channels, size):
    module = EfficientChannelAttention(channels)
    assert count_parameters(module) == size
    assert count_macs(module, (1, channels, 9, 12)) == size * channels


def test_eca_refuses_an_even_kernel():
    with pytest.raises(AttentionError, match=r"^eca: kernel_size is 4; it must be auto \| 3 \| 5 \| 7 \| 9$"):
        EfficientChannelAttention(8, kernel_size=4)
