"""The groups of AdamW, Muon beside it, and a schedule that is annealed whatever its length."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import nn

from nas_attn.losses import ADAMW, MUON
from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.training import Recipe
from nas_attn.training.flat import FlatParameters, kernels_and_others
from nas_attn.training.muon import Muon
from nas_attn.training.optimiser import FlatOptimisers, build_optimiser, learning_rates

NETWORK = UNetConfig(in_channels=3, classes=2, depth=2, base_channels=4)

RECIPE = Recipe(peak_learning_rate=0.1, encoder_share=0.25, muon_factor=5.0)


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


class WithTrainedPart(nn.Module):
    """An encoder that begins with weights, a convolution for Muon, and a head for AdamW."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Conv2d(3, 4, 3)
        self.decoder = nn.Conv2d(4, 8, 3)
        self.head = nn.Conv2d(8, 2, 1)

    def trained_part(self) -> Iterable[nn.Parameter]:
        return self.encoder.parameters()

    def slope(self) -> None:
        """Give every parameter a gradient."""
        images = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
        self.head(self.decoder(self.encoder(images))).square().mean().backward()


def optimised(recipe: Recipe, module: WithTrainedPart) -> FlatOptimisers:
    return FlatOptimisers(FlatParameters.of(module, muon=recipe.optimiser == MUON), recipe)


def test_each_part_learns_at_its_rate() -> None:
    together, apart = WithTrainedPart(), WithTrainedPart()
    optimisers = optimised(RECIPE, together)
    together.slope()
    optimisers.step(torch.tensor([0.1]))

    apart.slope()
    decoder = apart.decoder.weight
    slow = [apart.encoder.weight], [apart.encoder.bias]
    biases = [apart.decoder.bias, apart.head.bias]
    build_optimiser([apart.head.weight], biases, RECIPE, slow=slow).step()  # type: ignore[arg-type]
    stack = nn.Parameter(decoder.detach().view(1, 8, 36))
    assert decoder.grad is not None
    stack.grad = decoder.grad.view(1, 8, 36)
    Muon([stack], lr=0.1 * 5, weight_decay=RECIPE.weight_decay, momentum=RECIPE.momentum).step()
    for (name, mine), (_, theirs) in zip(together.named_parameters(), apart.named_parameters(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-6, atol=1e-8), name


def test_rates_are_read_again_after_a_state_was_loaded() -> None:
    module = WithTrainedPart()
    optimisers = optimised(RECIPE, module)
    module.slope()
    optimisers.step(torch.tensor([0.1]))
    for optimiser in optimisers.built:
        optimiser.load_state_dict(optimiser.state_dict())
    optimisers.bind_rates()
    before = [one.detach().clone() for one in module.parameters()]
    optimisers.step(torch.zeros(1))

    assert all(torch.equal(one, old) for one, old in zip(module.parameters(), before, strict=True))
    rates = sorted(float(group["lr"]) for optimiser in optimisers.built for group in optimiser.param_groups)
    assert rates == [0.0] * 5
    optimisers.step(torch.tensor([0.1]))
    rates = sorted(float(group["lr"]) for optimiser in optimisers.built for group in optimiser.param_groups)
    assert rates == pytest.approx([0.025, 0.025, 0.1, 0.1, 0.5])


@pytest.mark.parametrize(("name", "number"), [(MUON, 2), (ADAMW, 1)])
def test_without_muon_adamw_trains_everything(name: str, number: int) -> None:
    optimisers = optimised(Recipe(optimiser=name), WithTrainedPart())

    assert len(optimisers.built) == number
    assert [type(one) for one in optimisers.built] == [torch.optim.AdamW, Muon][:number]
