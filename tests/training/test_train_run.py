"""A complete run: repeatable, paired, honest about divergence, and able to learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.budget import Budget
from nas_attn.errors import DivergedError
from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.models.unet.unet import UNet
from nas_attn.training import DeviceImages, Precision, Recipe, initialise, train_run

CPU = torch.device("cpu")
NETWORK = UNetConfig(in_channels=1, classes=2, depth=2, base_channels=4)
SHORT = Budget(steps=6, image_size=16, batch_size=2)

pytestmark = pytest.mark.usefixtures("one_thread")


def bright_squares(count: int = 12, size: int = 16) -> DeviceImages:
    """Bright is the object, dark is not."""
    random = np.random.default_rng(0)
    masks = np.zeros((count, size, size), np.uint8)
    for mask in masks:
        top, left = random.integers(0, size // 2, 2)
        mask[top : top + size // 2, left : left + size // 2] = 1
    pixels = (60 + 120 * masks + random.integers(0, 20, masks.shape)).astype(np.uint8)[:, None]
    return DeviceImages.pack(
        torch.from_numpy(pixels),
        torch.from_numpy(masks),
        (size,) * count,
        (size,) * count,
        (float(pixels.mean()),),
        (float(pixels.std()),),
        device=CPU,
    )


def trained(
    module: nn.Module, seed: int = 0, budget: Budget = SHORT, precision: Precision | None = None
) -> tuple[nn.Module, tuple[object, ...]]:
    initialise(module, seed)
    return module, train_run(module, bright_squares(), budget, seed, precision=precision).curve


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return module.state_dict()


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = weights(one), weights(other)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def gated() -> Placement:
    return NETWORK.plain.replace(Location.parse("skip.0"), AttentionSpec("gate"))


def test_equal_seeds_give_equal_weights_and_curves_bit_for_bit() -> None:
    one, curve = trained(build_unet(NETWORK, gated()))
    torch.manual_seed(999)  # the global stream has no say
    other, curve_again = trained(build_unet(NETWORK, gated()))

    assert same(one, other)
    assert curve == curve_again


def test_another_seed_gives_another_run() -> None:
    one, curve = trained(build_unet(NETWORK, NETWORK.plain), seed=0)
    other, other_curve = trained(build_unet(NETWORK, NETWORK.plain), seed=1)

    assert not same(one, other)
    assert curve != other_curve


def test_none_everywhere_trains_as_the_plain_unet_bit_for_bit() -> None:
    """The plain U-Net is the class itself, which has never heard of a placement."""
    placed, curve = trained(build_unet(NETWORK, NETWORK.plain))
    plain, plain_curve = trained(UNet(in_channels=1, classes=2, depth=2, base_channels=4))

    assert same(placed, plain)
    assert curve == plain_curve


def test_the_global_random_stream_is_left_alone_by_a_run() -> None:
    module = build_unet(NETWORK, NETWORK.plain)
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    trained(module)

    assert torch.equal(torch.rand(3), expected)


def predicted(module: nn.Module, images: DeviceImages) -> torch.Tensor:
    assert not module.training
    with torch.no_grad():
        return module(images.normalise(images.images_of(range(len(images)))[0])).argmax(1)


@pytest.mark.parametrize("norm", ["batch", "group", "instance"])
def test_a_trivial_task_is_learned_in_a_few_steps(norm: str) -> None:
    network = UNetConfig(in_channels=1, classes=2, depth=2, base_channels=4, norm=norm)
    module, curve = trained(build_unet(network, network.plain), budget=Budget(40, 16, 4))
    images = bright_squares()
    labels = predicted(module, images)
    for value in (0, 1):
        mine, truth = labels == value, images.masks.view_as(labels) == value
        assert (mine & truth).sum() / (mine | truth).sum() > 0.9
    assert curve[-1].loss < 0.5 * curve[0].loss


def test_the_curve_has_about_twenty_points_and_ends_at_the_last_step() -> None:
    _, curve = trained(build_unet(NETWORK, NETWORK.plain), budget=Budget(47, 16, 1))
    steps = [point.step for point in curve]

    assert 18 <= len(steps) <= 25
    assert steps == sorted(set(steps))
    assert steps[-1] == 47
    assert all(math.isfinite(point.loss) for point in curve)


@pytest.mark.parametrize("steps", range(1, 8))
def test_runs_of_a_few_steps_end_well(steps: int) -> None:
    _, curve = trained(build_unet(NETWORK, NETWORK.plain), budget=Budget(steps, 16, 2))

    assert [point.step for point in curve] == list(range(1, steps + 1))


@pytest.mark.parametrize(
    "precision", [Precision(bfloat16=True), Precision(bfloat16=True, channels_last=True)], ids=str
)
def test_bfloat16_runs_on_a_cpu_and_keeps_single_precision_weights(precision: Precision) -> None:
    module, curve = trained(build_unet(NETWORK, gated()), precision=precision)

    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in weights(module).values())
    assert all(math.isfinite(point.loss) for point in curve)


def test_channels_last_changes_nothing_but_rounding() -> None:
    _, curve = trained(build_unet(NETWORK, NETWORK.plain))
    _, curve_again = trained(
        Precision(channels_last=True).place(build_unet(NETWORK, NETWORK.plain), CPU),
        precision=Precision(channels_last=True),
    )

    assert curve[0].loss == pytest.approx(curve_again[0].loss, rel=1e-4)


class Exploding(nn.Module):
    """Not a number after some calls."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)
        self.left = calls

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        return self.conv(x) * (math.nan if self.left < 0 else 1.0)


def test_a_loss_that_is_no_number_ends_the_run_with_its_step() -> None:
    module = Exploding(calls=3)
    initialise(module, 0)

    with pytest.raises(DivergedError, match=r"the training loss is nan by step 4"):
        train_run(module, bright_squares(), SHORT, 0)


def test_weights_that_are_no_numbers_end_the_run_even_after_a_finite_loss() -> None:
    module = nn.Conv2d(1, 2, 1)
    initialise(module, 0)
    module.weight.register_hook(lambda gradient: gradient * math.nan)

    with pytest.raises(DivergedError, match=r"the weights are not finite after step 1: weight"):
        train_run(module, bright_squares(), Budget(1, 16, 2), 0)


def test_too_high_a_learning_rate_is_a_failure() -> None:
    module = build_unet(NETWORK, NETWORK.plain)
    initialise(module, 0)

    with pytest.raises(DivergedError, match=r"not finite|the training loss is"):
        train_run(module, bright_squares(), SHORT, 0, recipe=Recipe(peak_learning_rate=1e38))


def test_two_placements_of_one_seed_see_the_same_batches() -> None:
    seen: list[list[torch.Tensor]] = []
    for placement in (NETWORK.plain, gated()):
        module = build_unet(NETWORK, placement)
        inputs: list[torch.Tensor] = []
        module.register_forward_pre_hook(lambda _, given, inputs=inputs: inputs.append(given[0].clone()))
        trained(module)
        seen.append(inputs)

    assert len(seen[0]) == SHORT.steps + Recipe().n_recalibration_batches(SHORT.steps)
    assert all(torch.equal(one, other) for one, other in zip(*seen, strict=True))


def test_statistics_are_taken_on_batches_that_were_not_trained_on() -> None:
    module = build_unet(NETWORK, NETWORK.plain)
    inputs: list[torch.Tensor] = []
    module.register_forward_pre_hook(lambda _, given: inputs.append(given[0].clone()))
    trained(module)

    assert not any(torch.equal(one, other) for one in inputs[: SHORT.steps] for other in inputs[SHORT.steps :])
