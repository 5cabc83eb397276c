"""Hard attention: its coins, its two estimators against gradients summed over all masks, and its closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from nas_attn.budget import Budget
from nas_attn.data import smears
from nas_attn.errors import AttentionError
from nas_attn.models.attention.hard import HardAttention
from nas_attn.training import ModuleHooks, initialise, train_run
from nas_attn.training.evaluation import pack_sets
from nas_attn.training.metrics import count_macs, count_parameters

ESTIMATORS = pytest.mark.parametrize("estimator", ["reinforce", "gumbel"])


def begin(module: HardAttention, step: int) -> None:
    module.noise.begin_step(torch.tensor([step]), 10**6, 11)


@ESTIMATORS
@pytest.mark.parametrize(("grid", "cells"), [(0, (6, 5)), (2, (2, 2)), (8, (6, 5))])
def test_every_cell_is_kept_or_dropped_as_a_whole(estimator, grid, cells, feature):
    module, x = HardAttention(3, estimator, grid).double(), feature(4, 3, 6, 5)
    torch.nn.init.zeros_(module.bias)
    mask = module(x) / x
    assert set(mask.detach().unique().round(decimals=9).tolist()) == {0.0, 1.0}
    assert (mask - mask[:, :1]).abs().max() < 1e-9
    at = [np.arange(side) * cell // side for side, cell in zip((6, 5), cells, strict=True)]
    for image in mask[:, 0]:
        for i, j in itertools.product(range(cells[0]), range(cells[1])):
            block = image[np.ix_(at[0] == i, at[1] == j)]
            assert (block - block.flatten()[0]).abs().max() < 1e-9


@pytest.mark.parametrize(("channels", "grid", "size"), [(4, 0, (4, 5)), (3, 2, (4, 6)), (1, 8, (1, 1))])
def test_in_evaluation_what_is_likely_is_kept(channels, grid, size, feature, spread, arrays):
    module, x = spread(HardAttention(channels, grid=grid)).eval(), feature(3, channels, *size)
    w = arrays(module)
    cells = x.numpy()
    if grid == 2:
        cells = cells.reshape(3, channels, 2, size[0] // 2, 2, size[1] // 2).mean((3, 5))
    logits = np.einsum("nchw,c->nhw", cells, w["logits.weight"][0, :, 0, 0]) + w["bias"]
    mask = (logits > 0).astype(float)
    mask = mask.repeat(size[0] // mask.shape[1], 1).repeat(size[1] // mask.shape[2], 2)
    np.testing.assert_array_equal(module(x).detach(), x.numpy() * mask[:, None])
    assert 0 < mask.mean() < 1 or size == (1, 1)


@ESTIMATORS
def test_coins_fall_as_often_as_their_logits_say_and_anew_in_each_step(estimator, feature):
    module, x = HardAttention(2, estimator, grid=0).double(), feature(8, 2, 16, 16)
    torch.nn.init.zeros_(module.logits.weight)
    shares, masks = [], []
    for step in range(20):
        begin(module, step)
        masks.append(module(x).detach() / x)
        shares.append(masks[-1].mean().item())
    assert np.mean(shares) == pytest.approx(1 / (1 + np.exp(-3)), abs=0.005)
    assert not torch.equal(masks[0], masks[1])
    begin(module, 0)
    assert torch.equal(module(x).detach() / x, masks[0])


def test_task_loss_alone_teaches_reinforce_nothing_and_gumbel_something(feature):
    for estimator, learns in (("reinforce", False), ("gumbel", True)):
        module = HardAttention(3, estimator).double()
        module(feature(2, 3, 8, 8).requires_grad_()).square().sum().backward()
        assert (module.logits.weight.grad is not None) == learns
        if learns:
            assert module.logits.weight.grad.count_nonzero()


@pytest.mark.parametrize(
    ("estimator", "temperature", "closeness"), [("reinforce", 1.0, 0.99), ("gumbel", 0.3, 0.98)]
)
def test_estimated_gradient_is_that_of_the_expected_loss_over_all_masks(estimator, temperature, closeness):
    """Four cells, 16 masks; the loss depends on the mask in no simple way."""
    target = torch.tensor([0.3, -0.8, 0.5, 0.9], dtype=torch.float64)

    def losses(masked: torch.Tensor) -> torch.Tensor:
        kept = masked.flatten(1)
        return (kept * target).sum(1).tanh() + 0.5 * kept[:, 0] * kept[:, 1] - 0.4 * kept[:, 2] * kept[:, 3]

    logits = torch.tensor([0.4, -0.3, 0.8, -0.6], dtype=torch.float64, requires_grad=True)
    masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=torch.float64)
    chance = torch.where(masks == 1, logits.sigmoid(), 1 - logits.sigmoid()).prod(1)
    exact = torch.autograd.grad((chance * losses(masks)).sum(), logits)[0]

    module = HardAttention(1, estimator, grid=0, temperature=temperature).double().train()
    x, images = torch.ones(20000, 1, 2, 2, dtype=torch.float64), 20000
    found = torch.zeros(4, dtype=torch.float64)
    rounds = 5
    for step in range(rounds):
        begin(module, step)
        module.baseline.fill_(-0.15 if step else 0.0)
        given = logits.detach().view(1, 1, 2, 2).expand(images, 1, 2, 2).clone().requires_grad_()
        masked = x * module._drawn(given)
        loss = losses(masked)
        if estimator == "gumbel":
            loss.mean().backward()
        else:
            module.own_loss(torch.zeros(0), -loss.detach()).backward()
            with torch.enable_grad():  # without the entropy, which is not part of the expectation
                again = given.detach().requires_grad_()
                flat = again.flatten(1)
                entropy = (torch.nn.functional.softplus(flat) - flat * flat.sigmoid()).mean(1).mean()
                given.grad += 0.01 * torch.autograd.grad(entropy, again)[0]
        found += given.grad.sum(0).flatten() / rounds
    assert torch.nn.functional.cosine_similarity(found, exact, dim=0) > closeness
    if estimator == "reinforce":
        torch.testing.assert_close(found, exact, rtol=0, atol=0.012)


def test_a_baseline_makes_the_estimate_steadier():
    spreads = []
    for baseline in (0.0, 0.7):
        module, drawn = HardAttention(1, grid=0).double().train(), []
        for step in range(400):
            begin(module, step)
            module.baseline.fill_(baseline)
            given = torch.zeros(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
            mask = module._drawn(given)
            module.own_loss(torch.zeros(0), 0.7 + 0.1 * mask.detach().sum((1, 2, 3)) - 0.2).backward()
            drawn.append(given.grad.flatten())
        spreads.append(torch.stack(drawn).std(0).mean())
    assert spreads[1] < 0.4 * spreads[0]


@ESTIMATORS
def test_share_that_is_kept_goes_to_what_was_asked_for(estimator, feature):
    torch.manual_seed(0)
    module = HardAttention(4, estimator, keep=0.5)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.05)
    x = feature(16, 4, 16, 16).float()
    for step in range(150):
        begin(module, step)
        optimiser.zero_grad()
        module(x)
        module.own_loss(torch.zeros(0), torch.zeros(16)).backward()
        optimiser.step()
    with torch.no_grad():
        share = (module(x)[:, 0] != 0).float().mean()
    assert share == pytest.approx(0.5, abs=0.05)


def test_baseline_follows_the_scores():
    module = HardAttention(2)
    for _ in range(60):
        module(torch.randn(4, 2, 3, 3))
        module.own_loss(torch.zeros(0), torch.full((4,), 0.8))
    assert module.baseline.item() == pytest.approx(0.8, abs=0.01)


@ESTIMATORS
def test_two_runs_of_one_seed_are_equal_to_the_bit_and_another_seed_draws_other_coins(estimator):
    images = pack_sets(smears(image_size=16, n_train=8, n_val=1, n_test=1), torch.device("cpu")).train
    weights = []
    for seed in (0, 0, 1):
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), HardAttention(4, estimator))
        module.append(torch.nn.Conv2d(4, 3, 1))
        initialise(module, 0)
        train_run(module, images, Budget(6, 16, 4), seed)
        weights.append(module[1].logits.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("channels", [64, 256, 17, 1])
def test_hard_attention_costs_its_closed_form(channels):
    assert count_parameters(HardAttention(channels)) == channels + 1
    assert count_macs(HardAttention(channels, grid=0), (1, channels, 9, 12)) == channels * 9 * 12
    assert count_macs(HardAttention(channels), (1, channels, 9, 12)) == channels * 8 * 8


def test_a_share_that_cannot_be_asked_for_is_refused():
    with pytest.raises(AttentionError, match=r"^hard: keep is 2; it must be 1.0 | 0.75 | 0.5 | 0.25$"):
        HardAttention(8, keep=2)


@pytest.mark.slow
def test_the_object_is_kept_and_most_of_the_clutter_dropped():
    """A square among specks, a quarter of the map asked for; the policy gradient finds which quarter."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    hard = HardAttention(8, grid=0, keep=0.25)
    features = torch.nn.Sequential()
    for entering in (1, 8, 8):
        features.extend([torch.nn.Conv2d(entering, 8, 3, padding=1), torch.nn.ReLU()])
    net = torch.nn.Sequential(features, hard, torch.nn.Conv2d(8, 2, 1))
    hooks, optimiser = ModuleHooks(net, 300, 0), torch.optim.Adam(net.parameters(), lr=0.01)
    for step in range(300):
        images, masks = _scenes(16, generator)
        hooks.begin_step(torch.tensor([step]))
        optimiser.zero_grad()
        hooks.loss(net(images), masks).backward()
        optimiser.step()
    images, masks = _scenes(64, generator)
    with torch.no_grad():
        kept = hard.eval()(features(images)).abs().sum(1) > 0
    assert kept[masks == 1].float().mean() >= 0.95
    assert kept[masks == 0].float().mean() <= 0.5


def _scenes(images, generator):
    x = 0.3 * torch.randn(images, 1, 24, 24, generator=generator)
    masks = torch.zeros(images, 24, 24, dtype=torch.uint8)
    for image, mask in zip(x[:, 0], masks, strict=True):
        row, column = torch.randint(2, 16, (2,), generator=generator).tolist()
        mask[row : row + 6, column : column + 6] = 1
        for _ in range(6):
            i, j = torch.randint(0, 23, (2,), generator=generator).tolist()
            image[i : i + 2, j : j + 2] += 2 * (mask[i : i + 2, j : j + 2] == 0)
        image += 2 * mask
    return x, masks
