"""AdamW's groups, and a schedule that is annealed whatever its length."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from nas_attn.network import UNetConfig
from nas_attn.training import Recipe
from nas_attn.training.optimiser import build_optimiser, build_schedule
from nas_attn.unet import build_unet

NETWORK = UNetConfig(in_channels=3, classes=2, depth=2, base_channels=4)


def test_kernels_decay_and_nothing_else_does() -> None:
    module = build_unet(NETWORK, NETWORK.plain)
    groups = build_optimiser(module, Recipe(weight_decay=0.3)).param_groups
    decay = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}

    layers = [layer for layer in module.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    kernels = {id(layer.weight) for layer in layers}
    assert set(decay) == {id(parameter) for parameter in module.parameters()}
    assert {value for key, value in decay.items() if key in kernels} == {0.3}
    assert {value for key, value in decay.items() if key not in kernels} == {0.0}


def test_a_module_without_kernels_can_be_optimised() -> None:
    groups = build_optimiser(nn.BatchNorm2d(3), Recipe()).param_groups

    assert [group["weight_decay"] for group in groups] == [0.0]


def learning_rates(steps: int, recipe: Recipe) -> list[float]:
    optimiser = build_optimiser(nn.Conv2d(1, 1, 1), recipe)
    schedule = build_schedule(optimiser, recipe, steps)
    rates = []
    for step in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        if step < steps - 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch wants a step of the optimiser before
                schedule.step()
    return rates


@pytest.mark.parametrize("steps", [2, 3, 4, 5, 6, 7, 9, 10, 11, 50, 200])
def test_the_learning_rate_is_nearly_0_at_the_last_step(steps: int) -> None:
    rates = learning_rates(steps, Recipe(peak_learning_rate=0.1))

    assert rates[-1] < 1e-6
    assert 0.02 < max(rates) <= 0.1
    assert all(rate > 0 for rate in rates)


@pytest.mark.parametrize("steps", [10, 50, 200])
def test_the_peak_comes_at_the_end_of_the_warm_up(steps: int) -> None:
    rates = learning_rates(steps, Recipe(peak_learning_rate=0.1, warm_up=0.2))

    assert rates.index(max(rates)) == pytest.approx(0.2 * steps - 1)
    assert max(rates) == pytest.approx(0.1)
    assert rates == sorted(rates[: rates.index(max(rates))]) + sorted(
        rates[rates.index(max(rates)) :], reverse=True
    )


def test_a_single_step_has_a_learning_rate() -> None:
    assert 0 < learning_rates(1, Recipe(peak_learning_rate=0.1))[0] <= 0.1


def test_momentum_beta_moves_the_other_way() -> None:
    recipe = Recipe()
    optimiser = build_optimiser(nn.Conv2d(1, 1, 1), recipe)
    build_schedule(optimiser, recipe, 100)

    assert optimiser.param_groups[0]["betas"][0] == pytest.approx(0.95)
    assert isinstance(optimiser, torch.optim.AdamW)
