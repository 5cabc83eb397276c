"""The transformer block against its equations, timm and its closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nas_attn.errors import AttentionError
from nas_attn.models.attention.vit import PositionGrid, TransformerBlock
from nas_attn.training import initialise
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize(
    ("channels", "heads", "mlp_ratio", "size"),
    [(8, 2, 4, (3, 4)), (6, 1, 2, (1, 5)), (5, 4, 1, (2, 2)), (1, "auto", 4, (1, 1))],
)
def test_transformer_block_follows_the_equations_of_its_paper(
    channels, heads, mlp_ratio, size, feature, spread, arrays
):
    module, x = (
        spread(TransformerBlock(channels, heads=heads, mlp_ratio=mlp_ratio, position="none")),
        feature(2, channels, *size),
    )
    w, count = arrays(module), {(8, 2): 2}.get((channels, heads), 1)
    expected = np.stack([_block(image.reshape(channels, -1).T, w, count).T for image in x.numpy()])
    np.testing.assert_allclose(module(x).detach().numpy(), expected.reshape(x.shape), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("channels", "heads"), [(64, 8), (128, 2)])
def test_transformer_block_equals_timm(channels, heads, feature, reference, assert_same_function):
    block = reference("timm.models.vision_transformer").Block(channels, heads, qkv_bias=True)
    layers = {
        "block.norm1": "norm1",
        "block.attn.qkv": "qkv",
        "block.attn.proj": "project",
        "block.norm2": "norm2",
        "block.mlp.fc1": "expand",
        "block.mlp.fc2": "contract",
    }
    assert_same_function(
        TransformerBlock(channels, heads, position="none"), _OnMaps(block), layers, feature(2, channels, 4, 3)
    )


@pytest.mark.parametrize(("channels", "grid"), [(64, 66368), (256, 855296)])
def test_transformer_block_costs_its_closed_form(channels, grid):
    module, positions = TransformerBlock(channels, position="none"), 9 * 12
    assert count_parameters(module) == 12 * channels**2 + 13 * channels
    macs = 12 * channels**2 * positions + 2 * positions**2 * channels
    assert count_macs(module, (1, channels, 9, 12)) == macs
    located = TransformerBlock(channels, position="grid")
    assert count_parameters(located) == grid == count_parameters(module) + 256 * channels
    assert count_macs(located, (1, channels, 9, 12)) == macs
    convolved = TransformerBlock(channels)
    assert count_parameters(convolved) == count_parameters(module) + 10 * channels
    assert count_macs(convolved, (1, channels, 9, 12)) == macs + 9 * channels * positions


@pytest.mark.parametrize(
    ("channels", "heads", "used"), [(64, "auto", 1), (512, "auto", 8), (200, "auto", 2), (48, 16, 16), (12, 8, 6)]
)
def test_heads_divide_the_channels_and_have_64_each_where_nothing_is_said(channels, heads, used):
    assert TransformerBlock(channels, heads=heads).heads == used


def test_a_block_without_positions_does_not_care_where_in_the_map_a_value_stands(feature, spread):
    plain, x = spread(TransformerBlock(8, heads=2, position="none")), feature(2, 8, 3, 5)
    assert _moved(plain(x)).sub(plain(_moved(x))).abs().max() < 1e-9


def test_a_block_with_positions_cares(feature, spread):
    located, x = spread(TransformerBlock(8, heads=2, position="grid")), feature(2, 8, 3, 5)
    assert _moved(located(x)).sub(located(_moved(x))).abs().max() > 0.1
    with torch.no_grad():
        located.position.weight.zero_()
    assert _moved(located(x)).sub(located(_moved(x))).abs().max() < 1e-9


def test_a_convolution_tells_where_a_token_stands_even_on_a_map_without_features(spread):
    located, blind = spread(TransformerBlock(8)), spread(TransformerBlock(8, position="none"))
    x = torch.ones(1, 8, 5, 6, dtype=torch.float64) * torch.arange(8)[:, None, None]
    assert located(x).std((2, 3)).min() > 0.01
    assert blind(x).std((2, 3)).max() < 1e-9


def test_a_convolution_of_the_input_is_added_in_front_of_the_block(feature, spread):
    located, plain, x = spread(TransformerBlock(8)), TransformerBlock(8, position="none"), feature(2, 8, 5, 6)
    state = {name: tensor for name, tensor in located.state_dict().items() if not name.startswith("position")}
    plain.double().load_state_dict(state)
    weight, bias = located.position.weight, located.position.bias
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    moved = bias[:, None, None] + sum(
        weight[:, 0, row, column, None, None] * padded[:, :, row : row + 5, column : column + 6]
        for row in range(3)
        for column in range(3)
    )
    torch.testing.assert_close(located(x), plain(x + moved))


def test_positions_are_added_in_front_of_the_block(feature, spread):
    located, plain, x = (
        spread(TransformerBlock(8, position="grid")),
        TransformerBlock(8, position="none"),
        feature(2, 8, 16, 16),
    )
    plain.double().load_state_dict(
        {name: tensor for name, tensor in located.state_dict().items() if name != "position.weight"}
    )
    torch.testing.assert_close(located(x), plain(x + located.position.weight))


@pytest.mark.parametrize("size", [(16, 16), (48, 32), (5, 7), (1, 1)], ids=str)
def test_positions_follow_a_slope_across_the_map_at_any_size(size):
    grid = PositionGrid(1).double()
    with torch.no_grad():
        grid.weight.copy_(torch.linspace(0.5, 15.5, 16).expand(16, 16))
    row = grid(torch.empty(1, 1, *size).double())[0, 0, 0]
    centres = (torch.arange(size[1]) + 0.5) * 16 / size[1]
    inner = slice(size[1] // 4, size[1] - size[1] // 4)
    torch.testing.assert_close(row[inner], centres[inner].double(), atol=0.15, rtol=0)


def test_positions_start_small_even_where_a_run_draws_them():
    module = TransformerBlock(64, position="grid")
    for drawn in (False, True):
        if drawn:
            torch.nn.init.ones_(module.position.weight)
            initialise(module, 3)
        assert module.position.weight.std().item() == pytest.approx(0.02, rel=0.03)
        assert abs(module.position.weight.mean().item()) < 0.001


def test_transformer_block_refuses_what_it_cannot_use():
    with pytest.raises(AttentionError) as refused:
        TransformerBlock(8, heads=3, mlp_ratio=0, position="sine")
    assert refused.value.problems == (
        "vit: heads is 3; it must be auto | 1 | 2 | 4 | 8 | 16",
        "vit: mlp_ratio is 0; it must be a whole number of at least 1",
        "vit: position is 'sine'; it must be conv | grid | none",
    )


class _OnMaps(torch.nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        return self.block(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)


def _moved(x):
    return x.flatten(2)[:, :, [7, 3, 11, 0, 14, 5, 2, 9, 1, 13, 4, 12, 6, 10, 8]].reshape(x.shape)


def _block(tokens, w, heads):
    """The equations for the tokens of one image, (P, C)."""
    normed = _normed(tokens, w, "norm1")
    q, k, v = np.split(_linear(normed, w, "qkv"), 3, 1)
    width, heard = q.shape[1] // heads, np.zeros_like(v)
    for start in range(0, q.shape[1], width):
        own = slice(start, start + width)
        for i in range(len(tokens)):
            weights = np.exp(k[:, own] @ q[i, own] / math.sqrt(width))
            heard[i, own] = weights @ v[:, own] / weights.sum()
    tokens = tokens + _linear(heard, w, "project")
    hidden = _linear(_normed(tokens, w, "norm2"), w, "expand")
    gelu = hidden * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2))) / 2
    return tokens + _linear(gelu, w, "contract")


def _normed(tokens, w, name):
    deviation = tokens - tokens.mean(1, keepdims=True)
    variance = (deviation**2).mean(1, keepdims=True)
    return deviation / np.sqrt(variance + 1e-6) * w[f"{name}.weight"] + w[f"{name}.bias"]


def _linear(tokens, w, name):
    return tokens @ w[f"{name}.weight"].T + w[f"{name}.bias"]
