"""Batches: decided by seed and step alone; crops lie inside their image, cut alike from image and mask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_attn.budget import Budget
from nas_attn.training import DeviceImages, Recipe
from nas_attn.training.batches import BatchPlan, cut_crops, tint

Coordinates = Callable[..., DeviceImages]


def plan(n_images: int, steps: int, batch_size: int = 3, seed: int = 0, fraction: float = 1.0) -> BatchPlan:
    return BatchPlan.draw(n_images, steps, Budget(steps, 8, batch_size, fraction), seed)


@settings(max_examples=25)
@given(
    n_images=st.integers(1, 9),
    batch_size=st.integers(1, 5),
    steps=st.integers(1, 12),
    more=st.integers(0, 12),
    seed=st.integers(0, 99),
)
def test_a_longer_plan_begins_as_a_shorter_one(
    n_images: int, batch_size: int, steps: int, more: int, seed: int
) -> None:
    short, long = plan(n_images, steps, batch_size, seed), plan(n_images, steps + more, batch_size, seed)

    assert torch.equal(long.images[:steps], short.images)
    assert torch.equal(long.draws[:steps], short.draws)


@settings(max_examples=25)
@given(n_images=st.integers(1, 9), batch_size=st.integers(1, 5), seed=st.integers(0, 99))
def test_every_image_is_used_once_before_any_is_used_again(n_images: int, batch_size: int, seed: int) -> None:
    order = plan(n_images, 3 * n_images, batch_size, seed).images.flatten().tolist()

    for start in range(0, len(order), n_images):
        counts = Counter(order[start : start + n_images])
        assert set(counts.values()) == {1}
        assert set(counts) <= set(range(n_images))


def test_another_seed_gives_another_order_and_other_crops() -> None:
    one, other = plan(50, 4, seed=0), plan(50, 4, seed=1)

    assert not torch.equal(one.images, other.images)
    assert not torch.equal(one.draws, other.draws)


def test_every_epoch_has_its_own_order() -> None:
    order = plan(30, 20).images.flatten()

    assert not torch.equal(order[:30], order[30:])


def test_steps_have_different_draws() -> None:
    draws = plan(4, 10).draws

    assert len({tuple(step.flatten().tolist()) for step in draws}) == 10
    assert bool(((draws >= 0) & (draws < 1)).all())


@pytest.mark.parametrize(("fraction", "used"), [(1.0, 10), (0.5, 5), (0.31, 3), (0.01, 1)])
def test_a_share_of_the_images_is_the_same_share_for_every_seed(fraction: float, used: int) -> None:
    seen = [set(plan(10, 20, seed=seed, fraction=fraction).images.flatten().tolist()) for seed in range(3)]

    assert len(seen[0]) == used
    assert seen[0] == seen[1] == seen[2]


def test_a_larger_share_holds_a_smaller_one() -> None:
    small, large = (set(plan(20, 40, fraction=share).images.flatten().tolist()) for share in (0.2, 0.6))

    assert small < large


def crops(images: DeviceImages, size: int, which: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.rand(len(which), 6, generator=torch.Generator().manual_seed(0))
    return cut_crops(images, which, draws, size)


def test_crops_lie_inside_their_image_and_masks_are_cut_alike(coordinates: Coordinates) -> None:
    sizes = ((12, 20), (30, 9), (8, 8))
    which = torch.arange(3).repeat(40)
    pixels, masks = crops(coordinates(*sizes), 8, which)

    assert pixels.shape == (120, 3, 8, 8)
    assert masks.shape == (120, 8, 8)
    for index, (image, mask) in enumerate(zip(pixels.long(), masks.long(), strict=True)):
        number, rows, columns = image
        assert set(number.flatten().tolist()) == {int(which[index])}
        assert torch.equal(mask, (rows + columns) % 251)
        for axis, length in ((rows[:, 0], sizes[which[index]][0]), (columns[0], sizes[which[index]][1])):
            steps = set((axis[1:] - axis[:-1]).tolist())
            assert steps in ({1}, {-1})
            assert 0 <= int(axis.min()) <= int(axis.max()) < length
        assert torch.equal(rows, rows[:, :1].expand_as(rows))
        assert torch.equal(columns, columns[:1].expand_as(columns))


def test_every_place_and_both_flips_are_reached(coordinates: Coordinates) -> None:
    pixels, _ = crops(coordinates((11, 11)), 8, torch.zeros(600, dtype=torch.long))
    corners = {(int(one[1, 0, 0]), int(one[2, 0, 0])) for one in pixels.long()}

    # A crop starts at 0 to 3, or, flipped, at 7 to 10, along each axis.
    assert {row for row, _ in corners} == {0, 1, 2, 3, 7, 8, 9, 10}
    assert {column for _, column in corners} == {0, 1, 2, 3, 7, 8, 9, 10}
    assert {(row < 4, column < 4) for row, column in corners} == {(a, b) for a in (0, 1) for b in (0, 1)}


def test_draws_at_their_ends_stay_inside(coordinates: Coordinates) -> None:
    for value in (0.0, 1 - 2**-24):
        draws = torch.full((1, 6), value)
        pixels, masks = cut_crops(coordinates((13, 10)), torch.zeros(1, dtype=torch.long), draws, 8)
        assert int(pixels[0, 1].max()) < 13
        assert int(pixels[0, 2].max()) < 10
        assert 255 not in masks


def test_a_small_image_is_enlarged_by_its_border_and_ignored_there(coordinates: Coordinates) -> None:
    images = coordinates((3, 5), (8, 8))
    pixels, masks = crops(images, 8, torch.zeros(20, dtype=torch.long))

    for image, mask in zip(pixels.long(), masks.long(), strict=True):
        rows, columns = image[1], image[2]
        inside = mask != 255
        assert int(inside.sum()) == 15
        assert int(rows.max()) == 2
        assert int(columns.max()) == 4
        assert torch.equal(mask[inside], (rows + columns)[inside])


def test_brightness_and_contrast_change_the_image_within_their_strength() -> None:
    plain = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    draws = torch.tensor([[0.0, 0.0, 0.9, 0.9, low, high] for low in (0.0, 1.0) for high in (0.0, 1.0)])

    expected = [(0.75, -0.5), (1.25, -0.5), (0.75, 0.5), (1.25, 0.5)]
    tinted = tint(plain, draws, Recipe(brightness=0.5, contrast=0.25))
    for one, before, (scale, shift) in zip(tinted, plain, expected, strict=True):
        assert torch.allclose(one, before * scale + shift)
    assert torch.equal(tint(plain, draws, Recipe(brightness=0.0, contrast=0.0)), plain)


def clips(lengths: tuple[int, ...], frames: int, size: int = 9) -> DeviceImages:
    """Clips of which every pixel tells its frame, its row and its column."""
    number = sum(lengths)
    pixels = torch.stack(torch.meshgrid(*(torch.arange(side) for side in (number, size, size)), indexing="ij"), 1)
    sizes = (size,) * number
    return DeviceImages.pack(
        pixels.to(torch.uint8),
        pixels[:, 0].to(torch.uint8),
        sizes,
        sizes,
        (0.0,) * 3,
        (1.0,) * 3,
        device=torch.device("cpu"),
        clips=lengths,
        frames=frames,
    )


def test_a_batch_of_clips_holds_whole_windows_of_consecutive_frames() -> None:
    planned = BatchPlan.of(clips((5, 3, 4), 3), 40, Budget(40, 4, 2), seed=0)

    windows = planned.images.view(-1, 3)
    assert set(windows[:, 0].tolist()) == {0, 1, 2, 5, 8, 9}
    assert torch.equal(windows - windows[:, :1], torch.arange(3).expand(80, 3))


def test_all_frames_of_a_window_are_cut_flipped_and_tinted_alike() -> None:
    images = clips((5, 3, 4), 3)
    planned = BatchPlan.of(images, 12, Budget(12, 4, 2), seed=0)
    seen = set()
    for which, draws in zip(planned.images, planned.draws, strict=True):
        pixels, masks = cut_crops(images, which, draws, 4)
        assert torch.equal(masks, pixels[:, 0])
        for crop, drawn in zip(pixels.view(2, 3, 3, 4, 4), draws.view(2, 3, -1), strict=True):
            assert (crop[1:, 1:] == crop[:1, 1:]).all()
            assert (drawn == drawn[:1]).all()
            seen.add(tuple(crop[0, 1:, 0, 0].tolist()))
    assert len(seen) > 5


def test_still_images_are_planned_as_ever() -> None:
    images, budget = replace(clips((4, 3), 3), clips=(), frames=1), Budget(5, 4, 2)
    planned, drawn = BatchPlan.of(images, 5, budget, seed=3), BatchPlan.draw(7, 5, budget, seed=3)

    assert torch.equal(planned.images, drawn.images)
    assert torch.equal(planned.draws, drawn.draws)


@pytest.mark.parametrize(("world_size", "frames"), [(2, 1), (3, 1), (2, 3)])
def test_processes_share_whole_windows_of_a_batch_without_gap_or_overlap(world_size: int, frames: int) -> None:
    images, budget = clips((5, 3, 4), frames), Budget(4, 4, 6)
    whole = BatchPlan.of(images, 4, budget, seed=0)
    shares = [BatchPlan.of(images, 4, budget, 0, rank, world_size) for rank in range(world_size)]
    for name in ("images", "draws"):
        windows = getattr(whole, name).unflatten(1, (6, frames))
        shared = torch.stack([getattr(one, name).unflatten(1, (-1, frames)) for one in shares], 2)
        assert torch.equal(shared.flatten(1, 2), windows)
