"""The highway layer against its equation, its start, and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.errors import AttentionError
from nas_attn.models.attention.highway import Highway
from nas_attn.training import initialise
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize(("channels", "size"), [(4, (4, 5)), (1, (3, 1)), (3, (1, 1))])
def test_highway_follows_the_equation_of_its_paper(channels, size, feature, spread, arrays, convolved):
    module, x = spread(Highway(channels)), feature(2, channels, *size)
    w = arrays(module)
    t = 1 / (1 + np.exp(-convolved(x.numpy(), w["gate.weight"], w["gate_bias"])))
    h = np.maximum(convolved(x.numpy(), w["transform.weight"], w["transform.bias"]), 0)
    np.testing.assert_allclose(module(x).detach(), h * t + x.numpy() * (1 - t), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("bias", "carried"), [(-40.0, 1), (40.0, 0)], ids=["closed", "open"])
def test_a_closed_gate_carries_on_and_an_open_one_transforms(bias, carried, feature):
    module, x = Highway(4, bias).double(), feature(2, 4, 5, 6)
    transformed = module.transform(x).relu()
    torch.testing.assert_close(module(x), x if carried else transformed)


@pytest.mark.parametrize("drawn", [False, True], ids=["as built", "drawn anew by a run"])
@pytest.mark.parametrize("bias", [-2.0, -4.0])
def test_the_gate_starts_nearly_closed(bias, drawn):
    module = Highway(8, bias)
    if drawn:
        torch.nn.init.ones_(module.gate_bias)
        initialise(module, 1)
    assert (module.gate_bias == bias).all()
    assert module.gate.bias is None


@pytest.mark.parametrize("channels", [64, 256, 17, 1])
def test_highway_costs_its_closed_form(channels):
    assert count_parameters(Highway(channels)) == 2 * (9 * channels**2 + channels)
    assert count_macs(Highway(channels), (1, channels, 9, 12)) == 18 * channels**2 * 9 * 12


def test_a_bias_that_is_no_number_is_refused():
    with pytest.raises(AttentionError, match=r"^highway: bias is 'low'; it must be a number$"):
        Highway(8, bias="low")
