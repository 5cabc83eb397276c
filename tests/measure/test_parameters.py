"""The number of parameters."""

from __future__ import annotations

from torch import nn

from nas_attn.measure import count_parameters


def test_weights_and_biases_count() -> None:
    assert count_parameters(nn.Linear(3, 4)) == 3 * 4 + 4


def test_frozen_parameters_and_buffers_do_not_count() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    module[0].requires_grad_(False)
    assert count_parameters(module) == 2 * 4


def test_a_shared_parameter_counts_once() -> None:
    layer = nn.Linear(3, 3)
    assert count_parameters(nn.Sequential(layer, layer)) == 12
