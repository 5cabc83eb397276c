"""Both optimisers over flat parameters: each part learns at its own share of the learning rate."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import nn

from nas_attn.losses import ADAMW, MUON
from nas_attn.training import Recipe
from nas_attn.training.flat import FlatParameters
from nas_attn.training.flat_optimisers import FlatOptimisers
from nas_attn.training.muon import Muon
from nas_attn.training.optimiser import build_optimiser

RECIPE = Recipe(peak_learning_rate=0.1, encoder_share=0.25, muon_factor=5.0)


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
