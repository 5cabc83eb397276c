"""Weights of a layer that learns under a factor: in files they are those of any linear layer."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_attn.models.attention import build_attention
from nas_attn.models.attention._steady import SteadyConv2d, SteadyLinear
from nas_attn.models.placement import AttentionSpec

WIDE = 100


def _drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def test_weights_of_a_linear_layer_mean_the_same_in_a_steady_one() -> None:
    theirs, ours = nn.Linear(WIDE, 5), SteadyLinear(WIDE, 5)
    ours.load_state_dict(theirs.state_dict())
    z = _drawn(3, WIDE)
    assert ours.share < 1
    torch.testing.assert_close(ours(z), z @ theirs.weight.T + theirs.bias)


def test_weights_of_a_convolution_mean_the_same_in_a_steady_one() -> None:
    theirs, ours = nn.Conv2d(6, 4, 3, padding=2, dilation=2), SteadyConv2d(6, 4, 3, dilation=2)
    ours.load_state_dict(theirs.state_dict())
    x = _drawn(2, 6, 7, 9)
    assert ours.share < 1
    expected = functional.conv2d(x, theirs.weight, theirs.bias, padding=2, dilation=2)
    torch.testing.assert_close(ours(x), expected)


@pytest.mark.parametrize("inputs", [8, 12, 37, 72, 512])
def test_weights_come_back_to_the_bit_and_the_state_that_was_given_is_left_as_it_was(inputs: int) -> None:
    one, other = SteadyLinear(inputs, 6), SteadyLinear(inputs, 6)
    state = one.state_dict()
    before = copy.deepcopy(state)
    other.load_state_dict(state)
    assert torch.equal(other.weight, one.weight)
    assert all(torch.equal(state[name], before[name]) for name in before)


def test_weights_of_se_are_those_of_the_papers_equation() -> None:
    """Whatever a file of weights says is what another library would compute with it."""
    module = build_attention(AttentionSpec.parse("se"), WIDE)
    state = {name: _drawn(*tensor.shape) / 10 for name, tensor in module.state_dict().items()}
    module.load_state_dict(state)
    x = _drawn(2, WIDE, 4, 5).abs()
    squeezed = (x.mean((2, 3)) @ state["perceptron.squeeze.weight"].T + state["perceptron.squeeze.bias"]).relu()
    asked = squeezed @ state["perceptron.excite.weight"].T + state["perceptron.excite.bias"]
    torch.testing.assert_close(module(x), x * (2 * asked.sigmoid())[:, :, None, None])


def test_a_training_goes_on_from_its_weights_and_its_optimiser_as_if_it_had_not_ended() -> None:
    def steps(layer: nn.Module, optimiser: torch.optim.Optimizer, number: int) -> None:
        for _ in range(number):
            loss = (layer(z).relu() - 1).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    z, whole, resumed = _drawn(4, WIDE), SteadyLinear(WIDE, 5), SteadyLinear(WIDE, 5)
    optimiser = torch.optim.AdamW(whole.parameters(), lr=1e-2)
    steps(whole, optimiser, 3)
    resumed.load_state_dict(whole.state_dict())
    second = torch.optim.AdamW(resumed.parameters(), lr=1e-2)
    second.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    steps(whole, optimiser, 3)
    steps(resumed, second, 3)
    assert torch.equal(whole.weight, resumed.weight)
