"""One step: it reads its batch and its learning rate from the device, wherever the images are."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import nn

from nas_attn.budget import Budget
from nas_attn.training import DeviceImages, Precision, Recipe, initialise
from nas_attn.training.batches import BatchPlan, ResidentCrops, StreamedCrops, crop_loader
from nas_attn.training.step import TrainingStep

Coordinates = Callable[..., DeviceImages]
BUDGET = Budget(steps=7, image_size=8, batch_size=3)

pytestmark = pytest.mark.usefixtures("one_thread")


def step_of(images: DeviceImages, module: nn.Module) -> TrainingStep:
    initialise(module, 0)
    return TrainingStep(module, images, BUDGET, 0, recipe=Recipe(), precision=Precision())


def images_of(coordinates: Coordinates) -> DeviceImages:
    images = coordinates((12, 20), (30, 9), (8, 8))
    images.masks.remainder_(2)
    return images


@pytest.mark.parametrize("first", [0, 2, 5])
@pytest.mark.parametrize("portion", [1, 2, 3, 7, 50])
def test_a_streamed_set_gives_the_crops_of_a_resident_one_from_any_step_on(
    coordinates: Coordinates, portion: int, first: int
) -> None:
    images = images_of(coordinates)
    plan = BatchPlan.draw(len(images), BUDGET.steps, BUDGET, seed=1)
    resident = ResidentCrops(images, plan, 8)
    streamed = StreamedCrops(images, plan, 8, portion=portion)

    for number in range(first, BUDGET.steps):
        streamed.prepare(number)
        for mine, theirs in zip(streamed(torch.tensor([number])), resident(torch.tensor([number])), strict=True):
            assert torch.equal(mine, theirs)


def test_a_set_beyond_its_limit_of_bytes_stays_in_the_machines_memory(coordinates: Coordinates) -> None:
    """The meta device stands for a GPU."""
    whole = images_of(coordinates)
    size = whole.pixels.nbytes + whole.masks.nbytes
    pixels, masks = zip(*(whole.images_of([number]) for number in range(3)), strict=True)
    given = [one[0] for one in pixels], [one[0] for one in masks], (12, 30, 8), (20, 9, 8), (0.0,) * 3, (1.0,) * 3
    gpu = torch.device("meta")
    fits, streams = (DeviceImages.pack(*given, device=gpu, most_bytes=most) for most in (size, size - 1))

    assert (fits.pixels.device, fits.streams) == (gpu, False)
    assert (streams.pixels.device, streams.device, streams.streams) == (torch.device("cpu"), gpu, True)
    plan = BatchPlan.draw(3, 2, BUDGET, seed=0)
    assert isinstance(crop_loader(streams, plan, 8), StreamedCrops)
    assert isinstance(crop_loader(whole, plan, 8), ResidentCrops)


def test_each_call_takes_the_next_step_and_keeps_its_loss(coordinates: Coordinates) -> None:
    module = nn.Conv2d(3, 2, 3, padding=1)
    step = step_of(images_of(coordinates), module)
    weights = []
    for number in range(BUDGET.steps):
        step.prepare(number)
        step()
        weights.append(module.weight.detach().clone())
        assert (step.losses[: number + 1] > 0).all()
        assert (step.losses[number + 1 :] == 0).all()

    assert all(not torch.equal(one, other) for one, other in itertools.pairwise(weights))


def test_putting_the_state_back_repeats_the_run_bit_for_bit(coordinates: Coordinates) -> None:
    """What a CUDA graph needs: everything that a step changes is in its state, the moments last."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    step = step_of(images_of(coordinates), module)
    before = [tensor.clone() for tensor in step.state()]
    runs = []
    for _ in range(2):
        for _ in range(BUDGET.steps):
            step()
        runs.append([tensor.clone() for tensor in step.state()])
        now = step.state()
        for tensor, value in zip(now, before, strict=False):
            tensor.copy_(value)
        for tensor in now[len(before) :]:
            tensor.zero_()

    assert len(runs[0]) > len(before)
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))


def test_a_rewound_step_takes_the_first_batch_again(coordinates: Coordinates) -> None:
    step = step_of(images_of(coordinates), nn.Conv2d(3, 2, 1))
    first = step.inputs_and_masks()[0]
    step.go_to(1)
    second = step.inputs_and_masks()[0]
    step.go_to(0)

    assert not torch.equal(first, second)
    assert torch.equal(step.inputs_and_masks()[0], first)
