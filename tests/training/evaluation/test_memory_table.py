"""Memory that is known before training orders placements as their real steps do."""

from __future__ import annotations

import random

import pytest
import torch

from nas_attn.budget import Budget
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import NONE, Placement
from nas_attn.space import SearchSpace, read_space
from nas_attn.training import segmentation_loss
from nas_attn.training.evaluation import CostTable, MemoryTable
from nas_attn.training.metrics import MIB, measure_peak_memory_mib

BUDGET = Budget(10, 32, 4)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return read_space("unet_attention", catalogue(), base_channels=4, image_size=32)


@pytest.fixture(scope="module")
def table(space: SearchSpace) -> MemoryTable:
    return MemoryTable(space.network, BUDGET, CostTable(space.network, 32, 32))


def held_mib(space: SearchSpace, placement: Placement) -> float:
    """What a step of the whole network really holds on a CPU, and its parameters: value, gradient, two moments."""
    module = build_unet(space.network, placement).train()
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    images, masks = torch.zeros(4, 3, 32, 32), torch.zeros(4, 32, 32, dtype=torch.uint8)
    step = measure_peak_memory_mib(
        lambda: segmentation_loss(module(images), masks).backward(), torch.device("cpu")
    )
    assert step is not None
    return step + 4 * 4 * sum(parameter.numel() for parameter in module.parameters()) / MIB


def test_the_estimate_is_near_to_what_is_held_and_in_its_order(space: SearchSpace, table: MemoryTable) -> None:
    random_ = random.Random(0)
    placements = [space.plain, *(space.sample(random_) for _ in range(7))]
    held = [held_mib(space, placement) for placement in placements]
    estimated = [table(placement) / MIB for placement in placements]

    assert all(0.99 < guess / true < 1.12 for guess, true in zip(estimated, held, strict=True))
    assert max(held) > 1.5 * min(held), "they differ"
    for one, guess in zip(held, estimated, strict=True):
        for other, other_guess in zip(held, estimated, strict=True):
            assert guess < other_guess or one > 0.97 * other, "what is clearly larger is estimated so"


def test_the_plain_network_is_exact(space: SearchSpace, table: MemoryTable) -> None:
    assert table(space.plain) / MIB == pytest.approx(held_mib(space, space.plain), rel=1e-9)


def test_an_attention_that_is_left_out_never_takes_more(space: SearchSpace, table: MemoryTable) -> None:
    random_ = random.Random(1)
    for _ in range(20):
        placement = space.sample(random_)
        for location, _spec in placement.attended:
            assert table(placement.replace(location, NONE)) < table(placement)


def test_larger_batches_take_more(space: SearchSpace, table: MemoryTable) -> None:
    costs = CostTable(space.network, 32, 32)
    double = MemoryTable(space.network, Budget(10, 32, 8), costs)
    state = 16 * costs(space.plain).parameters

    assert double(space.plain) - state == pytest.approx(2 * (table(space.plain) - state), rel=0.01)
