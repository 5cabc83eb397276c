from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.data import smears
from nas_attn.errors import DataError


@pytest.fixture(scope="module")
def task():
    return smears(image_size=32, n_train=128, n_val=64, n_test=16)


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data():
    few = {"image_size": 16, "n_train": 3, "n_val": 2, "n_test": 1}
    first = smears(**few)
    assert smears(**few).fingerprint == first.fingerprint
    assert smears(**few, seed=1).fingerprint != first.fingerprint
    assert smears(**few, noise=0.06).fingerprint != first.fingerprint


def test_asking_for_more_images_changes_none_of_the_others(task):
    few = smears(image_size=32, n_train=2, n_val=3, n_test=1)
    for split in ("train", "val", "test"):
        some, all_of_them = getattr(few, split), getattr(task, split)
        assert torch.equal(some.pixels, all_of_them.pixels[: len(some)])
        assert torch.equal(some.masks, all_of_them.masks[: len(some)])


def test_no_image_occurs_twice(task):
    pixels = torch.cat([task.train.pixels, task.val.pixels, task.test.pixels]).flatten(1)
    assert len(pixels.unique(dim=0)) == len(pixels)


@pytest.mark.parametrize("size", [16, 33, 64, 100])
def test_any_size_from_16_pixels_is_possible(size):
    dataset = smears(image_size=size, n_train=1, n_val=1, n_test=1)
    assert dataset.train.pixels.shape == (1, 3, size, size)
    assert dataset.train.masks.shape == (1, size, size)
    assert dataset.train.pixels.dtype == dataset.train.masks.dtype == torch.uint8


def test_every_class_has_a_share_worth_learning(task):
    shares = torch.bincount(task.train.masks.flatten().long()) / task.train.masks.numel()
    assert len(shares) == len(task.classes) >= 3
    assert shares.min() >= 0.04
    assert shares[0] >= 0.5


def test_an_unsteady_hand_moves_the_masks_and_leaves_the_images_alone():
    few = {"image_size": 32, "n_train": 8, "n_val": 1, "n_test": 1}
    steady, unsteady = smears(**few, hand=0.0).train, smears(**few, hand=0.1).train
    assert torch.equal(steady.pixels, unsteady.pixels)
    differing = (steady.masks != unsteady.masks).float().mean()
    assert 0 < differing < 0.2


def test_lookalikes_alone_leave_the_mask_empty():
    masks = smears(image_size=32, n_train=8, n_val=1, n_test=1, lookalikes=1.0, shells=0.5).train.masks
    assert not masks.any()


def test_a_light_of_another_colour_scales_each_channel_of_an_image():
    few = {"image_size": 32, "n_train": 12, "n_val": 1, "n_test": 1, "noise": 0.0, "blur": 0.0}
    white, coloured = smears(**few).train, smears(**few, cast=0.2).train
    assert torch.equal(white.masks, coloured.masks)
    usable = (white.pixels > 40) & (white.pixels < 255) & (coloured.pixels < 255)
    ratios = (coloured.pixels.double() / white.pixels.double()).masked_fill(~usable, torch.nan)
    gains = ratios.flatten(2).nanmedian(dim=2).values
    assert (ratios - gains[:, :, None, None]).abs().nan_to_num(0).max() < 0.05
    assert 0.1 < gains.log().std() < 0.3


def test_the_marker_tells_whether_bright_or_dark_bodies_count():
    quiet = {"noise": 0.0, "blur": 0.0, "shade": 0.0, "clutter": 0.0, "texture": 0.0, "hand": 0.0}
    images = smears(image_size=64, n_train=24, n_val=1, n_test=1, marked=1.0, **quiet).train
    inside = -torch.nn.functional.max_pool2d(-(images.masks[:, None] > 0).float(), 9, 1, 4)[:, 0] > 0
    backdrop = images.masks == 0
    judged = 0
    for image, body, behind in zip(images.pixels.float().mean(1), inside, backdrop, strict=True):
        if body.any():
            border = torch.cat([image[0], image[-1], image[:, 0], image[:, -1]])
            bright, dark = (border == 242).sum(), (border == 13).sum()
            assert max(bright, dark) >= 20
            assert (image[body].quantile(0.1) > image[behind].median()) == (bright > dark)
            judged += 1
    assert judged >= 10


def iou(predicted: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """Mean over the classes but the background, which is easy to guess."""
    pairs = [((predicted == k) & (truth == k), (predicted == k) | (truth == k)) for k in range(1, classes)]
    return float(np.mean([both.sum() / either.sum() for both, either in pairs]))


def test_colour_alone_does_not_solve_it(task):
    """The best guess from a pixel's colour, by the frequencies of 8 x 8 x 8 colours, stays low."""

    def cells(pixels: torch.Tensor) -> np.ndarray:
        red, green, blue = (pixels.numpy().astype(int) // 32).transpose(1, 0, 2, 3)
        return (red * 64 + green * 8 + blue).ravel()

    truth = task.train.masks.numpy().ravel()
    table = np.stack([np.bincount(cells(task.train.pixels), truth == k, 512) for k in range(len(task.classes))])
    rarity = np.bincount(truth, minlength=len(task.classes))[:, None]
    labels = task.val.masks.numpy().ravel()
    for weighted in (table, table / rarity):
        assert iou(weighted.argmax(axis=0)[cells(task.val.pixels)], labels, len(task.classes)) < 0.4


def test_nor_does_a_linear_look_at_the_neighbourhood(task):
    """Least squares on 5 x 5 colours, brightness squared added, stays far below what a network reaches."""

    def neighbourhoods(pixels: torch.Tensor) -> torch.Tensor:
        unit = pixels.double() / 255 - 0.5
        both = torch.cat([unit, unit.square()], dim=1)
        columns = torch.nn.functional.unfold(both, 5, padding=2).permute(0, 2, 1).flatten(0, 1)
        return torch.cat([columns, torch.ones(len(columns), 1, dtype=columns.dtype)], dim=1)

    design = neighbourhoods(task.train.pixels[:64])
    truth = task.train.masks[:64].flatten().long()
    weight = (1 / torch.bincount(truth).double())[truth][:, None]
    wanted = torch.nn.functional.one_hot(truth).double()
    gram = design.T @ (design * weight) + 1e-6 * torch.eye(design.shape[1], dtype=torch.double)
    solution = torch.linalg.solve(gram, design.T @ (wanted * weight))
    predicted = (neighbourhoods(task.val.pixels) @ solution).argmax(dim=1).numpy()
    assert iou(predicted, task.val.masks.numpy().ravel(), len(task.classes)) < 0.5


def test_wrong_values_are_told_together():
    with pytest.raises(DataError) as raised:
        smears(image_size=8, n_val=0, clutter=2, noise=-1)
    assert raised.value.problems == (
        "smears: image_size is 8; it must be a whole number of at least 16",
        "smears: n_val is 0; it must be a whole number of at least 1",
        "smears: noise is -1; it must be at least 0",
        "smears: clutter is 2; it must be from 0 to 1",
    )
