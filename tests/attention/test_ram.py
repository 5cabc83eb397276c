"""The recurrent attention model: glimpses and pasting against loops, and who teaches what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.attention.ram import RecurrentAttention
from nas_attn.errors import AttentionError
from nas_attn.measure import count_macs, count_parameters


def begin(module: RecurrentAttention, step: int, steps: int = 10**6, key: int = 11) -> None:
    module.begin_step(torch.tensor([step]), steps, key)
    module.noise.begin_step(torch.tensor([step]), steps, key)


def value(x: np.ndarray, row: float, column: float) -> np.ndarray:
    """Bilinear interpolation of (C, H, W) at a place in pixels, zeros beyond the map."""
    found = np.zeros(len(x))
    for i in (int(np.floor(row)), int(np.floor(row)) + 1):
        for j in (int(np.floor(column)), int(np.floor(column)) + 1):
            if 0 <= i < x.shape[1] and 0 <= j < x.shape[2]:
                found += (1 - abs(row - i)) * (1 - abs(column - j)) * x[:, i, j]
    return found


@pytest.mark.parametrize("where", [(0.0, 0.0), (0.31, -0.57), (-1.0, 1.0)])
@pytest.mark.parametrize("size", [(12, 9), (3, 5)])
def test_a_glimpse_is_what_lies_around_a_place_and_is_pasted_there(where, size, feature):
    module, x = RecurrentAttention(4, side=5), feature(1, 16, *size)
    row, column = ((where[axis] + 1) / 2 * size[axis] - 0.5 for axis in (0, 1))
    crop = module._crop(x, torch.tensor([where], dtype=torch.float64))
    for i in range(5):
        for j in range(5):
            expected = value(x[0].numpy(), row + i - 2, column + j - 2)
            np.testing.assert_allclose(crop[0, :, i, j], expected, atol=1e-9)
    pasted = module._pasted(crop, torch.tensor([where], dtype=torch.float64), x)
    for i in range(size[0]):
        for j in range(size[1]):
            expected = value(crop[0].numpy(), i - row + 2, j - column + 2)
            np.testing.assert_allclose(pasted[0, :, i, j], expected, atol=1e-9)


def test_coarser_crops_see_twice_as_far(feature):
    module, x = RecurrentAttention(4, side=4), feature(1, 16, 16, 16)
    full, half, quarter = module._pyramid(x)
    np.testing.assert_allclose(half, x.numpy().reshape(1, 16, 8, 2, 8, 2).mean((3, 5)), atol=1e-12)
    np.testing.assert_allclose(quarter, x.numpy().reshape(1, 16, 4, 4, 4, 4).mean((3, 5)), atol=1e-12)
    centre = torch.zeros(1, 2, dtype=torch.float64)
    assert torch.equal(module._crop(full, centre), x[:, :, 6:10, 6:10])
    torch.testing.assert_close(module._crop(quarter, centre), quarter)


def test_what_is_not_looked_at_stays_as_it_was(feature, spread):
    module, x = spread(RecurrentAttention(3, glimpses=1, side=4)).eval(), feature(2, 3, 20, 20)
    nn.init.zeros_(module.policy.weight)
    nn.init.zeros_(module.policy.bias)
    changed = (module(x) != x).any(1)
    assert changed[:, 8:12, 8:12].all()
    changed[:, 7:13, 7:13] = False
    assert not changed.any()


def test_the_segmentation_loss_teaches_all_but_where_to_look_and_the_reward_teaches_that(feature):
    module, x = RecurrentAttention(3).double(), feature(4, 3, 12, 12)
    begin(module, 10**6 - 1)
    module(x).square().sum().backward()
    policy = [*module.policy.parameters(), *module.foretell.parameters()]
    assert all(weight.grad is None for weight in policy)
    assert all(weight.grad is not None for name, weight in module.core.named_parameters())
    module.zero_grad()
    module(x)
    module.own_loss(torch.zeros(0), torch.rand(4, dtype=torch.float64)).backward()
    assert all(weight.grad.count_nonzero() for weight in policy)
    assert module.core.weight_ih.grad.count_nonzero()
    assert all(weight.grad is None for weight in (*module.refine.parameters(), module.share))


def test_the_estimate_is_the_gradient_of_the_expected_reward():
    """One glimpse, whose place earns a reward; the expectation by quadrature over where it may be."""
    module = RecurrentAttention(1, glimpses=1, side=2, scales=1).double()
    nn.init.constant_(module.policy.bias, 0.1)
    x, total = torch.zeros(20000, 1, 4, 4, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)

    def reward(where: torch.Tensor) -> torch.Tensor:
        return (-((where - torch.tensor([0.3, -0.2])) ** 2).sum(-1) * 2).exp()

    for step in range(4):
        begin(module, 900_000 + step)
        module.zero_grad()
        module(x)
        drawn = module._drawn(x)
        where = module._chosen(module.policy(module.first.expand(len(x), -1)).tanh(), drawn, 0)
        module.own_loss(torch.zeros(0), reward(where).detach()).backward()
        total -= module.policy.bias.grad / 4
    grid = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    weights = (-(grid**2) / 2).exp()
    weights = weights / weights.sum()
    bias = torch.full((2,), 0.1, dtype=torch.float64, requires_grad=True)
    places = (bias.tanh()[:, None] + 0.25 * grid).clamp(-1, 1)
    each = (-((places - torch.tensor([[0.3], [-0.2]])) ** 2) * 2).exp()
    exact = torch.autograd.grad((each * weights).sum(1).prod(), bias)[0]
    torch.testing.assert_close(total, exact, rtol=0, atol=0.03)


def test_evaluation_looks_at_the_means_and_training_anew_in_each_step(feature, spread):
    module, x = spread(RecurrentAttention(3)), feature(2, 3, 12, 12)
    outputs = []
    for step in (10**6 - 1, 10**6 - 2, 10**6 - 1):
        begin(module, step)
        outputs.append(module(x).detach())
    assert torch.equal(outputs[0], outputs[2])
    assert not torch.equal(outputs[0], outputs[1])
    module.eval()
    assert torch.equal(module(x), module(x))


def test_it_looks_anywhere_at_first_and_learns_no_policy_from_that(feature):
    module, x = RecurrentAttention(3, explore=0.5).double(), feature(500, 3, 4, 4)
    begin(module, 4, steps=10)
    where = module._chosen(torch.zeros(500, 2, dtype=torch.float64), module._drawn(x), 0)
    assert where.abs().max() > 0.95
    assert where.std().item() == pytest.approx(1 / 3**0.5, rel=0.05)
    module(x)
    module.own_loss(torch.zeros(0), torch.rand(500, dtype=torch.float64)).backward()
    assert not module.policy.weight.grad.count_nonzero()
    begin(module, 5, steps=10)
    where = module._chosen(torch.zeros(500, 2, dtype=torch.float64), module._drawn(x), 0)
    assert where.std().item() == pytest.approx(0.25, rel=0.1)


@pytest.mark.parametrize(
    ("channels", "options"), [(64, {}), (256, {}), (5, {"glimpses": 2, "side": 3, "scales": 1})]
)
def test_ram_costs_its_closed_form(channels, options):
    module = RecurrentAttention(channels, **options)
    glimpses, side, scales = (
        options.get(name, usual) for name, usual in (("glimpses", 4), ("side", 8), ("scales", 3))
    )
    seen = scales * 16 * side**2 * 96
    core, told, refine = 6 * 96**2, 96 * 32, 2 * 16 * 16 * 9
    weights = seen + 2 * 96 + core + 2 * 96 + 96 + told + refine
    biases = 96 + 6 * 96 + 2 + 1 + 32 + 2 * 16
    assert count_parameters(module) == 32 * channels + 16 + weights + biases + 96 + 1
    per_glimpse = seen + 2 * 96 + core + 2 * 96 + 96 + told + refine * side**2
    assert count_macs(module, (1, channels, 9, 12)) == 32 * channels * 9 * 12 + glimpses * per_glimpse


def test_too_many_scales_are_refused():
    with pytest.raises(AttentionError, match=r"^ram: scales is 4; it must be 1 \| 2 \| 3$"):
        RecurrentAttention(8, scales=4)
