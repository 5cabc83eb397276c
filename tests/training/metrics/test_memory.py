"""Peak memory against hand-worked cases: every tensor here is of 32-bit numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_attn.training.metrics import measure_peak_memory_mib

CPU = torch.device("cpu")
SIDE = 512
ONE_MIB = (SIDE, SIDE)


def test_freed_tensors_no_longer_count() -> None:
    def step() -> None:
        for _ in range(5):
            torch.zeros(ONE_MIB)

    assert measure_peak_memory_mib(step, CPU) == 1


def test_views_and_changes_in_place_take_nothing() -> None:
    def step() -> None:
        first = torch.zeros(ONE_MIB)
        first.view(-1)[3:].mul_(2)
        first.t().relu_()

    assert measure_peak_memory_mib(step, CPU) == 1


def test_what_was_held_before_does_not_count() -> None:
    held = torch.zeros(ONE_MIB)

    def step() -> None:
        held.add_(1)
        held.view(-1)

    assert measure_peak_memory_mib(step, CPU) == 0


def test_the_peak_is_the_most_at_any_moment_not_the_sum() -> None:
    def step() -> None:
        first = torch.zeros(ONE_MIB)
        second = first + 1
        del first
        third = second.exp()
        del second, third
        torch.zeros(ONE_MIB)

    assert measure_peak_memory_mib(step, CPU) == 2


def test_what_the_backward_pass_needs_is_held_until_then() -> None:
    weight = torch.zeros(ONE_MIB, requires_grad=True)

    def step() -> None:
        weight.exp().exp().exp().sum().backward()

    # exp keeps its result: three of them, and the product of the last with the incoming gradient, which is a view
    # of a scalar. The sum and the gradient of the sum are scalars of 4 bytes each.
    assert measure_peak_memory_mib(step, CPU) == 4 + 8 / 2**20


def test_memory_grows_by_the_same_amount_with_each_image() -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))

    def peak(images: int) -> float:
        batch = torch.zeros(images, 1, 32, 32)
        module.zero_grad()
        measured = measure_peak_memory_mib(lambda: module(batch).square().mean().backward(), CPU)
        assert measured is not None
        return measured

    one, two, four = peak(1), peak(2), peak(4)
    assert four - two == pytest.approx(2 * (two - one), rel=1e-9)
    assert two > one


def test_the_gradients_that_a_first_step_creates_count() -> None:
    layer = nn.Linear(SIDE, SIDE, bias=False)
    image = torch.zeros(1, SIDE)

    def step() -> None:
        layer(image).sum().backward()

    peak = measure_peak_memory_mib(step, CPU)
    assert peak is not None
    assert 1 <= peak < 1.01


def test_a_device_whose_memory_cannot_be_read_has_none() -> None:
    assert measure_peak_memory_mib(lambda: None, torch.device("meta")) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_counts_its_own_allocator() -> None:
    cuda = torch.device("cuda")
    assert measure_peak_memory_mib(lambda: torch.zeros(ONE_MIB, device=cuda).exp(), cuda) == 2
