"""Modules that want to know the step or have a loss of their own, in a run that knows nothing else of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_attn.budget import Budget
from nas_attn.models.attention.dynamic import DynamicConvolution
from nas_attn.models.attention.encnet import ContextEncoding
from nas_attn.training import DeviceImages, ModuleHooks, initialise, segmentation_loss, train_run
from nas_attn.training.loss import image_scores

BUDGET = Budget(steps=12, image_size=8, batch_size=3)

pytestmark = pytest.mark.usefixtures("one_thread")


class Follower(nn.Module):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[int, int, int]] = []

    def begin_step(self, step: Tensor, steps: int, key: int) -> None:
        self.told.append((int(step), steps, key))

    def forward(self, x: Tensor) -> Tensor:
        return x


class Teacher(nn.Module):
    """Adds the scores of the images to the loss."""

    def own_loss(self, masks: Tensor, scores: Tensor) -> Tensor:
        return scores.sum() + masks.sum()


def images(coordinates: Callable[..., DeviceImages]) -> DeviceImages:
    made = coordinates((12, 20), (30, 9), (8, 8))
    made.masks.remainder_(2)
    return made


def test_every_step_is_announced_once_with_a_key_of_seed_and_name(
    coordinates: Callable[..., DeviceImages],
) -> None:
    keys = set()
    for seed in (3, 4):
        one, other = Follower(), Follower()
        module = nn.Sequential(one, nn.Conv2d(3, 2, 1), other)
        initialise(module, 0)
        train_run(module, images(coordinates), BUDGET, seed)
        for follower in (one, other):
            assert [(step, steps) for step, steps, _ in follower.told] == [(step, 12) for step in range(12)]
            assert len({key for *_, key in follower.told}) == 1
            keys.add(follower.told[0][2])
    assert len(keys) == 4


def test_own_losses_are_added_to_that_of_the_segmentation() -> None:
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    masks = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    plain = segmentation_loss(logits, masks)
    assert torch.equal(ModuleHooks(nn.Sequential(nn.ReLU(), Follower()), 1, 0).loss(logits, masks), plain)
    taught = ModuleHooks(nn.Sequential(Teacher(), nn.ModuleList([Teacher()])), 1, 0).loss(logits, masks)
    added = image_scores(logits.detach(), masks).sum() + masks.sum()
    torch.testing.assert_close(taught, plain + 2 * added)
    torch.testing.assert_close(torch.autograd.grad(taught, logits), torch.autograd.grad(plain, logits))


def test_score_of_an_image_is_the_mean_dice_of_the_classes_in_it() -> None:
    logits = torch.randn(3, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    masks = torch.tensor([0, 1, 255, 1, 0, 0, 1, 255, 2, 0] * 6, dtype=torch.uint8).view(3, 4, 5)
    masks[2] = 255
    probability = (logits.exp() / logits.exp().sum(1, keepdim=True)).numpy()
    expected = []
    for image in range(3):
        counted = masks[image].numpy() != 255
        dice = []
        for index in range(3):
            truth = (masks[image].numpy() == index) & counted
            if truth.any():
                given = probability[image, index] * counted
                dice.append((2 * (given * truth).sum() + 1) / (given.sum() + truth.sum() + 1))
        expected.append(np.mean(dice) if dice else 0)
    np.testing.assert_allclose(image_scores(logits, masks), expected, rtol=1e-5)


def test_temperature_of_a_dynamic_convolution_has_fallen_when_its_run_ends(
    coordinates: Callable[..., DeviceImages],
) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), DynamicConvolution(4), nn.Conv2d(4, 2, 1))
    initialise(module, 0)
    assert module[1].temperature == 30
    train_run(module, images(coordinates), BUDGET, 0)
    assert module[1].temperature == 1


def test_a_loss_of_its_own_teaches_what_the_segmentation_does_not(
    coordinates: Callable[..., DeviceImages],
) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), ContextEncoding(4, classes=2), nn.Conv2d(4, 2, 1))
    initialise(module, 0)
    before = module[1].presence.weight.clone()
    train_run(module, images(coordinates), BUDGET, 0)
    assert not torch.equal(module[1].presence.weight, before)
