"""AdamW's groups, and a schedule that is annealed whatever its length."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.training import Recipe
from nas_attn.training.optimiser import build_optimiser, kernels_and_others, learning_rates

NETWORK = UNetConfig(in_channels=3, classes=2, depth=2, base_channels=4)


def test_kernels_decay_and_nothing_else_does() -> None:
    module = build_unet(NETWORK, NETWORK.plain)
    groups = build_optimiser(*kernels_and_others(module), Recipe(weight_decay=0.3)).param_groups
    decay = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}

    layers = [layer for layer in module.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    kernels = {id(layer.weight) for layer in layers}
    assert set(decay) == {id(parameter) for parameter in module.parameters()}
    assert {value for key, value in decay.items() if key in kernels} == {0.3}
    assert {value for key, value in decay.items() if key not in kernels} == {0.0}


def test_a_module_without_kernels_can_be_optimised() -> None:
    groups = build_optimiser(*kernels_and_others(nn.BatchNorm2d(3)), Recipe()).param_groups

    assert [group["weight_decay"] for group in groups] == [0.0]


def test_frozen_parameters_stay_out_of_the_optimiser() -> None:
    module = nn.Conv2d(1, 1, 1)
    module.weight.requires_grad_(False)

    assert kernels_and_others(module) == ([], [module.bias])


@pytest.mark.parametrize("steps", [3, 4, 5, 6, 7, 9, 10, 11, 50, 200])
@pytest.mark.parametrize("warm_up", [0.05, 0.2, 0.5])
def test_learning_rates_are_those_of_torchs_one_cycle(steps: int, warm_up: float) -> None:
    """Torch divides by warm_up * steps - 1 rising steps, which must not be 0: it is given 1 at least."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    oracle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=0.1, total_steps=steps, pct_start=max(warm_up, 2 / steps), cycle_momentum=False
    )
    expected = []
    for step in range(steps):
        expected.append(oracle.get_last_lr()[0])
        optimiser.step()
        if step < steps - 1:
            oracle.step()

    rates = learning_rates(Recipe(peak_learning_rate=0.1, warm_up=warm_up), steps)
    assert rates.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("steps", [2, 3, 4, 5, 10, 50, 200])
def test_the_learning_rate_is_nearly_0_at_the_last_step(steps: int) -> None:
    rates = learning_rates(Recipe(peak_learning_rate=0.1), steps)

    assert rates[-1] < 1e-6
    assert 0.02 < rates.max() <= 0.1
    assert (rates > 0).all()


def test_a_single_step_has_a_learning_rate() -> None:
    assert learning_rates(Recipe(peak_learning_rate=0.1), 1).tolist() == pytest.approx([0.1])


def test_a_tensor_may_hold_the_learning_rate() -> None:
    """Equal to a loop that sets the number: the rate is read at every step."""
    weights = []
    for as_tensor in (True, False):
        parameter = nn.Parameter(torch.ones(3, 3))
        rate = torch.zeros(()) if as_tensor else None
        optimiser = build_optimiser([parameter], [], Recipe(), rate=rate)
        for value in (0.5, 0.25):
            parameter.grad = torch.full((3, 3), 0.1)
            if rate is not None:
                rate.fill_(value)
            else:
                optimiser.param_groups[0]["lr"] = value
            optimiser.step()
        weights.append(parameter.detach().clone())

    assert torch.equal(*weights)
    assert not torch.equal(weights[0], torch.ones(3, 3))


def test_the_recipe_has_the_momentum() -> None:
    optimiser = build_optimiser(*kernels_and_others(nn.Conv2d(1, 1, 1)), Recipe(momentum=0.7))

    assert [group["betas"] for group in optimiser.param_groups] == [(0.7, 0.999)] * 2
