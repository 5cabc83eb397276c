"""Crops that are centred on foreground: how many, on which class, on which pixel, and what stays as it was."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from nas_attn.budget import Budget
from nas_attn.training import DeviceImages
from nas_attn.training.batches import BatchPlan, cut_crops

SIZE = 8


def images(*masks: np.ndarray, clips: tuple[int, ...] = (), frames: int = 1) -> DeviceImages:
    """Images of which every pixel tells its number, row and column."""
    sizes = [mask.shape for mask in masks]
    pixels = [
        torch.from_numpy(np.stack([np.full(size, number), *np.indices(size)]).astype(np.uint8))
        for number, size in enumerate(sizes)
    ]
    heights, widths = zip(*sizes, strict=True)
    labels = [torch.from_numpy(mask.astype(np.uint8)) for mask in masks]
    ones = (1.0,) * 3
    return DeviceImages.pack(
        pixels, labels, heights, widths, ones, ones, device=torch.device("cpu"), clips=clips, frames=frames
    )


def with_pixels(height: int, width: int, *places: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros((height, width), int)
    for row, column, label in places:
        mask[row, column] = label
    return mask


def plan(data: DeviceImages, share: float, steps: int = 200, batch: int = 4, **of: int) -> BatchPlan:
    return BatchPlan.of(data, steps, Budget(steps, SIZE, batch), 0, foreground=share, **of)


def crops(data: DeviceImages, planned: BatchPlan) -> tuple[torch.Tensor, torch.Tensor]:
    return cut_crops(data, planned.images.flatten(), planned.draws.flatten(0, 1), SIZE)


def test_a_centred_crop_has_the_pixel_in_its_middle_where_the_image_has_room() -> None:
    data = images(with_pixels(40, 50, (20, 31, 1)))
    pixels, masks = crops(data, plan(data, 1.0))
    rows, columns = pixels[:, 1].long(), pixels[:, 2].long()

    assert (masks == 1).flatten(1).any(1).all()
    for axis, place in ((rows, 20), (columns, 31)):
        low, high = axis.flatten(1).min(1).values, axis.flatten(1).max(1).values
        assert set((low + SIZE // 2).tolist()) == {place}
        assert set((high - low).tolist()) == {SIZE - 1}


@pytest.mark.parametrize("place", [(0, 0), (0, 49), (39, 0), (39, 49), (2, 47)])
def test_a_crop_at_the_border_stays_within_its_image_and_holds_the_pixel(place: tuple[int, int]) -> None:
    data = images(with_pixels(40, 50, (*place, 3)))
    _, masks = crops(data, plan(data, 1.0, steps=20))

    assert (masks == 3).flatten(1).any(1).all()
    assert not (masks == 255).any()


@pytest.mark.parametrize("share", [0.33, 0.8])
def test_the_share_is_that_of_the_crops(share: float) -> None:
    data = images(with_pixels(200, 250, (120, 140, 1)))
    _, masks = crops(data, plan(data, share, steps=1000))
    found = (masks == 1).flatten(1).any(1).double().mean().item()

    by_chance = SIZE**2 / (193 * 243) * (1 - share)
    assert found == pytest.approx(share + by_chance, abs=4 * (share * (1 - share) / 4000) ** 0.5)


def test_a_class_of_one_pixel_is_drawn_as_often_as_one_of_thousands() -> None:
    mask = with_pixels(60, 60, (50, 50, 2))
    mask[:30] = 1
    _, masks = crops(images(mask), plan(images(mask), 1.0, steps=500))
    rare = (masks == 2).flatten(1).any(1).double().mean().item()

    assert rare == pytest.approx(0.5, abs=4 * (0.25 / 2000) ** 0.5)


def test_pixels_of_a_class_are_drawn_alike() -> None:
    places = [(10, 10), (10, 40), (40, 10), (40, 40)]
    data = images(with_pixels(60, 60, *((row, column, 1) for row, column in places)))
    pixels, masks = crops(data, plan(data, 1.0, steps=500))
    where = pixels.permute(0, 2, 3, 1)[masks == 1][:, 1:].tolist()
    counts = Counter(map(tuple, where))

    assert set(counts) == set(places)
    assert max(abs(number / 2000 - 0.25) for number in counts.values()) < 4 * (0.25 * 0.75 / 2000) ** 0.5


def test_an_image_without_foreground_is_cropped_as_ever() -> None:
    ignored = np.zeros((30, 30), int)
    ignored[5, 5] = 255
    data = images(with_pixels(30, 30), ignored, with_pixels(30, 30, (15, 15, 1)))
    before, after = plan(data, 0.0), plan(data, 1.0)
    empty = before.images < 2

    assert torch.equal(before.images, after.images)
    assert torch.equal(before.draws[empty], after.draws[empty])
    assert not (before.draws[~empty] == after.draws[~empty])[:, :2].any()


def test_flips_and_tints_stay_as_they_were_and_no_share_is_no_change() -> None:
    data = images(with_pixels(40, 40, (20, 20, 1)), with_pixels(20, 25, (4, 5, 2)))
    none, some = plan(data, 0.0), plan(data, 0.5)

    assert torch.equal(none.draws, BatchPlan.of(data, 200, Budget(200, SIZE, 4), 0).draws)
    assert torch.equal(none.draws[..., 2:], some.draws[..., 2:])
    assert not torch.equal(none.draws, some.draws)


def test_a_longer_plan_begins_as_a_shorter_one_and_processes_share_one() -> None:
    data = images(with_pixels(40, 40, (20, 20, 1)), with_pixels(20, 25, (4, 5, 2)))
    short, long = plan(data, 0.5, steps=5), plan(data, 0.5, steps=9)
    shares = [plan(data, 0.5, steps=5, rank=rank, world_size=2) for rank in range(2)]

    assert torch.equal(long.draws[:5], short.draws)
    assert torch.equal(torch.stack([one.draws for one in shares], 2).flatten(1, 2), short.draws)


def test_all_frames_of_a_clip_are_cut_alike_around_a_pixel_of_any_of_them() -> None:
    masks = [with_pixels(40, 40) for _ in range(5)]
    masks[3][30, 9] = 1
    data = images(*masks, clips=(5,), frames=3)
    planned = plan(data, 1.0, steps=50)
    pixels, labels = crops(data, planned)

    windows = labels.unflatten(0, (-1, 3))
    held = (planned.images.view(-1, 3) == 3).any(1)
    assert held.any()
    assert ((windows == 1).flatten(1).any(1) == held)[held].all()
    assert (pixels.unflatten(0, (-1, 3))[:, 1:, 1:] == pixels.unflatten(0, (-1, 3))[:, :1, 1:]).all()


def test_an_image_smaller_than_the_crop_is_taken_whole() -> None:
    data = images(with_pixels(5, 6, (4, 5, 1)), with_pixels(40, 40, (9, 9, 1)))
    pixels, masks = crops(data, plan(data, 1.0, steps=10))
    small = pixels[:, 0, 0, 0] == 0

    assert ((masks != 255).flatten(1).sum(1) == 30)[small].all()
