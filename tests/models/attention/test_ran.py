"""Residual attention against its equation layer by layer, and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from nas_attn.errors import AttentionError
from nas_attn.models.attention import build_attention
from nas_attn.models.attention.ran import ResidualAttention
from nas_attn.models.placement import AttentionSpec
from nas_attn.training.metrics import count_parameters


def trunk(x):
    """Two channels to four."""
    return torch.cat([x.sin(), x.cos()], 1)


@pytest.mark.parametrize("aligned", [False, True], ids=["centres", "corners"])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("size", [(9, 6), (4, 4), (1, 3)], ids=str)
def test_residual_attention_follows_the_equations_of_its_paper(depth, size, aligned, feature, spread, arrays):
    module, x = spread(ResidualAttention(4, 2, depth, align_corners=aligned)).eval(), feature(2, 2, *size)
    w = arrays(module)

    def layer(x, name, index):
        mean, variance = w[f"{name}.{index}.norm.running_mean"], w[f"{name}.{index}.norm.running_var"]
        scale, shift = w[f"{name}.{index}.norm.weight"], w[f"{name}.{index}.norm.bias"]
        x = (x - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
        x = np.maximum(x * scale[:, None, None] + shift[:, None, None], 0)
        kernel = torch.from_numpy(w[f"{name}.{index + 2}.weight"])
        return functional.conv2d(torch.from_numpy(x), kernel, padding=kernel.shape[-1] // 2).numpy()

    def unit(x, name):
        y = x
        for index in (0, 3, 6):
            y = layer(y, f"{name}.branch", index)
        return x + y

    def hourglass(x, name, depth):
        small = unit(_pooled(x), f"{name}.down")
        if depth > 1:
            small = hourglass(small, f"{name}.inside.0", depth - 1) + unit(small, f"{name}.inside.1")
        return _stretched(unit(small, f"{name}.up"), x.shape[2:], aligned)

    entered = np.einsum("nchw,dc->ndhw", x.numpy(), w["enter.weight"][:, :, 0, 0])
    asked = layer(layer(hourglass(entered, "mask.hourglass", depth), "mask.end", 0), "mask.end", 3)
    expected = (1 + 1 / (1 + np.exp(-asked))) * trunk(x).numpy()
    np.testing.assert_allclose(module(x, trunk).detach(), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_the_trunk_is_kept_where_the_mask_closes_and_doubled_where_it_opens(training, feature):
    module, x = ResidualAttention(4, 2).double().train(training), feature(2, 2, 8, 8)
    for bias, factor in ((-1e6, 1), (1e6, 2)):
        module.mask.end[5] = nn.Conv2d(4, 4, 1).double()
        nn.init.constant_(module.mask.end[5].bias, bias)
        torch.testing.assert_close(module(x, trunk), factor * trunk(x))


@pytest.mark.parametrize(("channels", "entering"), [(64, 64), (256, 128), (16, 3)])
@pytest.mark.parametrize(("depth", "units"), [(1, 2), (2, 5), (3, 8)])
def test_residual_attention_costs_its_closed_form(channels, entering, depth, units):
    module = ResidualAttention(channels, entering, depth)
    unit = 17 * channels**2 // 16 + 3 * channels
    ends = 2 * channels**2 + 4 * channels
    assert count_parameters(module) == units * unit + ends + channels * entering
    sides = [(24, 17), (12, 9), (6, 5), (3, 3)]  # halved, and rounded up
    positions = [height * width for height, width in sides]
    below = [2 * positions[level] + (positions[level] if level < depth else 0) for level in range(1, depth + 1)]
    kernel = 17 * channels**2 // 16
    macs = kernel * sum(below) + positions[0] * (2 * channels**2 + channels * entering)
    x = torch.empty(1, entering, 24, 17, device="meta")
    with FlopCounterMode(display=False) as counter:
        module.to("meta").eval()(x, lambda entering: entering.new_empty(1, channels, 24, 17))
    assert counter.get_total_flops() == 2 * macs


def test_the_identity_start_runs_the_block_once(feature):
    runs = []

    def block(x):
        runs.append(x)
        return trunk(x)

    spec = AttentionSpec.parse("ran(start=identity)")
    module, x = build_attention(spec, 4, block_channels=2).double(), feature(2, 2, 8, 8)
    assert torch.equal(module(x, block), trunk(x))
    assert len(runs) == 1


def test_a_mask_without_halvings_is_refused():
    with pytest.raises(AttentionError, match=r"^ran: depth is 0; it must be a whole number of at least 1"):
        ResidualAttention(8, 8, depth=0)


def _pooled(x):
    """The maximum of 3x3 around every second position."""
    height, width = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    rows, columns = range(0, height, 2), range(0, width, 2)
    cells = [[padded[:, :, i : i + 3, j : j + 3].max((2, 3)) for j in columns] for i in rows]
    return np.array(cells).transpose(2, 3, 0, 1)


def _stretched(x, size, aligned):
    """Bilinear interpolation to a size, from the centres of the positions, or with corners on corners."""
    for axis, length in zip((2, 3), size, strict=True):
        old = x.shape[axis]
        at = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
        if aligned:
            at = np.linspace(0, old - 1, length) if length > 1 else np.zeros(1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, old - 1)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return x
