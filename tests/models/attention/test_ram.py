"""The recurrent attention model: glimpses and pasting against loops, who teaches what, and what it finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.budget import Budget
from nas_attn.data import smears
from nas_attn.errors import AttentionError
from nas_attn.models.attention.ram import Core, RecurrentAttention
from nas_attn.training import DeviceImages, Recipe, initialise, train_run
from nas_attn.training.evaluation import pack_sets
from nas_attn.training.flat import kernels_and_others
from nas_attn.training.loss import image_scores
from nas_attn.training.metrics import count_macs, count_parameters
from nas_attn.training.optimiser import build_optimiser, learning_rates


def begin(module: RecurrentAttention, step: int, steps: int = 10**6, key: int = 11) -> None:
    module.begin_step(torch.tensor([step]), steps, key)
    module.noise.begin_step(torch.tensor([step]), steps, key)


def looked_at(module: RecurrentAttention, x: torch.Tensor) -> list[torch.Tensor]:
    """The places of one forward pass, (N, 2) for each glimpse."""
    places = []
    hook = module.place.register_forward_pre_hook(lambda _, given: places.append(given[0].detach()))
    module(x)
    hook.remove()
    return places


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
    nn.init.normal_(module.policy.weight)
    policy = [*module.policy.parameters(), *module.foretell.parameters()]
    assert all(weight.grad is None for weight in policy)
    assert all(weight.grad is not None for name, weight in module.core.named_parameters())
    module.zero_grad()
    module(x)
    module.own_loss(torch.zeros(0), torch.rand(4, dtype=torch.float64)).backward()
    assert all(weight.grad.count_nonzero() for weight in policy)
    assert module.core.of_input.weight.grad.count_nonzero()
    assert all(weight.grad is None for weight in (*module.refine.parameters(), module.share))


@pytest.mark.parametrize(
    ("aim", "best"),
    [(0.1, (0.3, -0.2)), (1.0, (1.0, 0.9))],
    ids=["near the middle", "where a sixth falls beyond the border and is rewarded there"],
)
def test_the_estimate_is_the_gradient_of_the_expected_reward(aim, best):
    """One glimpse, whose place earns a reward; the expectation by quadrature over where it may be.

    At the border it tells the density of the place that was drawn from that of the place brought back to the map.
    """
    module = RecurrentAttention(1, glimpses=1, side=2, scales=1).double()
    nn.init.constant_(module.policy.bias, aim / module.policy.factor)
    x, total = torch.zeros(20000, 1, 4, 4, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)

    def reward(where: torch.Tensor) -> torch.Tensor:
        return (-((where - torch.tensor(best)) ** 2).sum(-1) * 2).exp()

    for step in range(4):
        begin(module, 900_000 + step)
        module.zero_grad()
        places = looked_at(module, x)
        module.own_loss(torch.zeros(0), reward(places[0])).backward()
        total -= module.policy.bias.grad / module.policy.factor / 4
    grid = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    weights = (-(grid**2) / 2).exp()
    weights = weights / weights.sum()
    bias = torch.full((2,), aim, dtype=torch.float64, requires_grad=True)
    places = (bias.tanh()[:, None] + 0.25 * grid).clamp(-1, 1)
    each = (-((places - torch.tensor(best)[:, None]) ** 2) * 2).exp()
    exact = torch.autograd.grad((each * weights).sum(1).prod(), bias)[0]
    torch.testing.assert_close(total, exact, rtol=0, atol=0.02)


def test_a_baseline_makes_the_estimate_steadier():
    spreads = []
    for foretold in (0.0, 0.7):
        module, drawn = RecurrentAttention(1, glimpses=1, side=2, scales=1), []
        nn.init.constant_(module.foretell.bias, foretold / module.foretell.factor)
        for step in range(200):
            begin(module, 900_000 + step)
            module.policy.zero_grad()
            where = looked_at(module, torch.zeros(1, 1, 4, 4))[0]
            module.own_loss(torch.zeros(0), 0.7 + 0.1 * where[:, 0]).backward()
            drawn.append(module.policy.bias.grad.clone())
        spreads.append(torch.stack(drawn).std(0).mean())
    assert spreads[1] < 0.4 * spreads[0]


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


def test_it_looks_anywhere_less_and_less_often_and_learns_no_policy_from_that():
    module = RecurrentAttention(1, glimpses=1, side=2, scales=1, explore=0.5).double()
    x = torch.zeros(20000, 1, 4, 4, dtype=torch.float64)
    for step, share in ((0, 5 / 6), (2, 1 / 2), (5, 0)):
        begin(module, step, steps=10)
        far = (looked_at(module, x)[0].abs().amax(1) > 0.9).double().mean()  # aimed at 0, of 0.25: never
        assert far.item() == pytest.approx(share * (1 - 0.9**2), abs=0.01)
    begin(module, 0)
    module(x[:100])
    module.own_loss(torch.zeros(0), torch.rand(100, dtype=torch.float64)).backward()
    assert not module.policy.weight.grad.count_nonzero()
    assert not module.policy.bias.grad.count_nonzero()


def test_in_a_run_each_image_rewards_with_its_own_score_and_the_last_steps_look_nowhere_by_chance():
    images = pack_sets(smears(image_size=16, n_train=8, n_val=1, n_test=1), torch.device("cpu")).train
    net = nn.Sequential(nn.Conv2d(3, 4, 1), RecurrentAttention(4, glimpses=1, side=4), nn.Conv2d(4, 3, 1))
    initialise(net, 0)
    logits, heard, exploring = [], [], []
    net.register_forward_hook(lambda *given: logits.append(given[-1].detach()))
    learn = net[1].own_loss
    net[1].own_loss = lambda masks, scores: (
        heard.append((masks, scores)) or exploring.append(net[1].exploring.item()) or learn(masks, scores)
    )
    before = net[1].policy.bias.detach().clone()
    train_run(net, images, Budget(10, 16, 4), 0)
    assert exploring == pytest.approx([max(0, 1 - (step + 1) / 5) for step in range(10)])
    for found, (masks, scores) in zip(logits[:10], heard, strict=True):
        torch.testing.assert_close(scores, image_scores(found, masks))
        assert scores.std() > 0
    assert not torch.equal(net[1].policy.bias, before)


def test_a_core_is_a_gated_recurrent_unit_of_torch():
    core, theirs = Core(5).double(), nn.GRUCell(5, 5).double()
    x, state = torch.randn(2, 3, 5, dtype=torch.float64)
    with torch.no_grad():
        for ours, suffix in ((core.of_input, "ih"), (core.of_state, "hh")):
            nn.init.normal_(ours.bias)
            getattr(theirs, f"weight_{suffix}").copy_(ours.factor * ours.weight)
            getattr(theirs, f"bias_{suffix}").copy_(ours.factor * ours.bias)
    torch.testing.assert_close(core(x, state), theirs(x, state))


def test_the_policy_learns_where_the_reward_is():
    """One bright square; the reward is how near the last glimpse comes to it."""
    module = RecurrentAttention(1, glimpses=2, side=4, scales=2)
    generator, recipe, steps, rate = torch.Generator().manual_seed(1), Recipe(), 150, torch.zeros(())
    initialise(module, 0)
    optimiser = build_optimiser(*kernels_and_others(module), recipe, rate=rate)
    for step, now in enumerate(learning_rates(recipe, steps)):
        x, square = _squares(32, generator)
        begin(module, step, steps)
        optimiser.zero_grad()
        near = (looked_at(module, x)[-1] - square).square().sum(1)
        module.own_loss(torch.zeros(0), (-4 * near).exp()).backward()
        nn.utils.clip_grad_norm_(module.parameters(), recipe.clip_norm)
        rate.copy_(now)
        optimiser.step()
    x, square = _squares(500, generator)
    hits = ((looked_at(module.eval(), x)[-1] - square).abs().amax(1) < 0.25).float().mean()
    assert hits > 0.6  # looking anywhere hits one time in sixteen


@pytest.mark.slow
def test_where_only_glimpses_reach_the_head_it_learns_to_look_at_the_object():
    """A bright cross among dim squares, two glimpses of 8x8, all learned from masks in a run like a search's."""
    x, masks, _ = _crosses(1024, torch.Generator().manual_seed(1))
    sizes = (24,) * 1024
    images = DeviceImages.pack(x, masks, sizes, sizes, (0.0,), (1.0,), device=torch.device("cpu"))
    net = OnlyGlimpses()
    initialise(net, 0)
    train_run(net, images, Budget(500, 24, 32), 0)
    x, masks, cross = _crosses(500, torch.Generator().manual_seed(2))
    learned, dice = hit_rate(net, x, cross), image_scores(net(x).detach(), masks).mean()
    net.ram.train().exploring.fill_(1)
    by_chance, dice_by_chance = hit_rate(net, x, cross), image_scores(net(x).detach(), masks).mean()
    assert by_chance == pytest.approx(1 - (1 - 1 / 9) ** 2, abs=0.06)
    assert learned > max(0.6, 2 * by_chance)
    assert dice > dice_by_chance + 0.1


class OnlyGlimpses(nn.Module):
    """What was not looked at does not reach the head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.ram, self.head = RecurrentAttention(8, glimpses=2), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        seen = self.stem(x)
        return self.head(self.ram(seen) - seen)


def hit_rate(net, x, cross):
    """Share of the images in which a glimpse's middle came within four pixels of that of the cross."""
    places = torch.stack(looked_at(net.ram, net.stem(x).detach()))
    return ((places - cross).abs().amax(2) <= 8 / 24).any(0).double().mean().item()


def _crosses(count, generator):
    """Images, masks and where the cross is, in halves of the map."""
    x, masks = 0.1 * torch.randn(count, 1, 24, 24, generator=generator), torch.zeros(count, 24, 24).byte()
    where, blobs = (
        torch.randint(low, 24 - low, (count, n, 2), generator=generator) for low, n in ((2, 1), (1, 6))
    )
    for image, mask, (middle,), others in zip(x[:, 0], masks, where.tolist(), blobs.tolist(), strict=True):
        for row, column in others:
            image[row - 1 : row + 2, column - 1 : column + 2] += 0.4
        mask[middle[0] - 2 : middle[0] + 3, middle[1]] = 1
        mask[middle[0], middle[1] - 2 : middle[1] + 3] = 1
        image[mask == 1] = 1.0
    return 3 * x, masks, (where[:, 0] + 0.5) / 12 - 1


def _squares(count, generator):
    """Noisy images with a bright square each, and where it is, in halves of the map."""
    square = 1.6 * torch.rand(count, 2, generator=generator) - 0.8
    rows, columns = ((square[:, axis, None] + 1) * 6 - 0.5 - torch.arange(12) for axis in (0, 1))
    bright = (rows.abs() <= 2)[:, :, None] & (columns.abs() <= 2)[:, None, :]
    return bright[:, None].float() + 0.1 * torch.randn(count, 1, 12, 12, generator=generator), square


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
