"""The counters of MACs and of parameters against hand-worked numbers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.training.metrics import count_macs, count_parameters


class Attend(nn.Module):
    """Scaled dot-product attention of a sequence with itself."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x)


class Product(nn.Module):
    """A batched product of two inputs."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left @ right


@pytest.mark.parametrize(
    ("module", "shapes", "macs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), [(1, 3, 10, 6)], 3 * 8 * 9 * 60),
        (nn.Conv2d(4, 8, 3, stride=2, groups=4), [(2, 4, 9, 9)], 2 * 8 * 9 * 16),
        (nn.ConvTranspose2d(8, 4, 2, stride=2), [(1, 8, 5, 3)], 8 * 4 * 4 * 15),
        (nn.Linear(6, 4), [(7, 6)], 7 * 6 * 4),
        (Product(), [(3, 4, 5), (3, 5, 2)], 3 * 4 * 5 * 2),
        (Attend(), [(2, 1, 11, 4)], 2 * 2 * 11 * 11 * 4),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)), [(1, 3, 8, 8)], 0),
    ],
    ids=["conv", "grouped conv", "transposed conv", "linear", "batched product", "attention", "no products"],
)
def test_macs_are_the_hand_worked_ones(module: nn.Module, shapes: list[tuple[int, ...]], macs: int) -> None:
    assert count_macs(module, *shapes) == macs


def test_counting_leaves_the_module_as_it_is() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = copy.deepcopy(module.state_dict())
    count_macs(module, (1, 1, 5, 5))
    assert module.training
    assert module[1].training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(child._forward_hooks or child._forward_pre_hooks for child in module.modules())


def test_a_module_of_another_dtype_can_be_counted() -> None:
    assert count_macs(nn.Conv2d(3, 2, 1).to(torch.bfloat16), (1, 3, 1, 1)) == 6


def test_weights_and_biases_count() -> None:
    assert count_parameters(nn.Linear(3, 4)) == 3 * 4 + 4


def test_frozen_parameters_and_buffers_do_not_count() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    module[0].requires_grad_(False)
    assert count_parameters(module) == 2 * 4


def test_a_shared_parameter_counts_once() -> None:
    layer = nn.Linear(3, 3)
    assert count_parameters(nn.Sequential(layer, layer)) == 12
