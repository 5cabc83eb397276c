"""A linear layer with an equalised learning rate."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.models.attention._equalised import EqualisedLinear


@pytest.mark.parametrize("inputs", [1000, 10])
def test_outputs_start_with_the_scale_that_was_asked_for_however_many_inputs_there_are(inputs):
    torch.manual_seed(0)
    y = EqualisedLinear(inputs, 500, gain=1.5)(torch.randn(200, inputs))
    assert y.std().item() == pytest.approx(1.5, rel=0.05)


@pytest.mark.parametrize("inputs", [1000, 10])
def test_a_step_of_adam_moves_outputs_by_the_root_of_the_number_of_inputs(inputs):
    layer, x = EqualisedLinear(inputs, 1, bias=False, from_zero=True), torch.ones(1, inputs)
    layer(x).sum().backward()
    torch.optim.Adam(layer.parameters(), lr=0.01).step()
    assert layer(x).item() == pytest.approx(-0.01 * np.sqrt(inputs), rel=1e-4)
