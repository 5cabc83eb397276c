"""A packed set: each image takes its own room and no more; normalising uses the given statistics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_attn.data import LabelledImages
from nas_attn.training import DeviceImages, write_mapped
from nas_attn.training.batches import cut_crops

CPU = torch.device("cpu")
SIZES = ((4, 5), (6, 7), (4, 5))


def values(dtype: torch.dtype = torch.uint8) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded to a common size, with noise beyond the images."""
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, 2, 6, 7), generator=random).to(dtype)
    return pixels, torch.randint(0, 3, (3, 6, 7), generator=random).to(torch.uint8)


def packed(dtype: torch.dtype = torch.uint8) -> DeviceImages:
    heights, widths = zip(*SIZES, strict=True)
    return DeviceImages.pack(*values(dtype), heights, widths, (10.0, 20.0), (2.0, 4.0), device=CPU)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_images_come_back_as_they_were_without_what_is_beyond_them(dtype: torch.dtype) -> None:
    images, (pixels, masks) = packed(dtype), values(dtype)
    assert (len(images), images.sizes, images.least_side) == (3, SIZES, 4)
    for numbers in ([0, 2], [2], [1]):
        height, width = SIZES[numbers[0]]
        shown, labels = images.images_of(numbers)
        assert torch.equal(shown, pixels[numbers, :, :height, :width])
        assert torch.equal(labels, masks[numbers, :height, :width])
        assert shown.dtype == dtype
        layout = (2 * height * width, height * width, width, 1)
        assert shown.stride() == layout, "by another, a network would not compute the same to the last bit"


def test_grey_images_have_the_layout_of_coloured_ones() -> None:
    """A channel alone is contiguous in two layouts, and kernels tell them apart by the strides."""
    pixels, masks = values()
    grey = DeviceImages.pack(pixels[:, :1], masks, (6,) * 3, (7,) * 3, (0.0,), (1.0,), device=CPU)
    assert grey.images_of([0, 1])[0].stride() == (42, 42, 7, 1)


def test_a_crop_beyond_its_image_shows_copies_of_the_border_and_no_label() -> None:
    """In NumPy, one pixel after the other; without a flip a crop larger than its image begins at its corner."""
    images, (pixels, masks) = packed(), values()
    found, labels = cut_crops(images, torch.arange(3), torch.full((3, 6), 0.75), 9)
    for index, (height, width) in enumerate(SIZES):
        for row, column in np.ndindex(9, 9):
            nearest = pixels[index, :, min(row, height - 1), min(column, width - 1)]
            assert torch.equal(found[index, :, row, column], nearest)
            inside = row < height and column < width
            assert labels[index, row, column] == (masks[index, row, column] if inside else 255)


def test_crops_have_the_layout_in_memory_in_which_they_are_gathered() -> None:
    found, labels = cut_crops(packed(), torch.arange(3), torch.full((3, 6), 0.5), 4)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert labels.is_contiguous()


def test_one_large_image_among_many_small_ones_takes_its_own_room_alone(
    labelled: Callable[[DeviceImages], LabelledImages], tmp_path: Path
) -> None:
    """299 of 32 x 32 pixels and one of 1000 x 1000, with 3 channels and a mask: 5.2 MB; all padded, 1.2 GB."""
    sides = (1000, *(32,) * 299)
    images = [torch.zeros(3, side, side, dtype=torch.uint8) for side in sides]
    set_ = DeviceImages.pack(
        images, [image[0] for image in images], sides, sides, (0.0,) * 3, (1.0,) * 3, device=CPU
    )
    write_mapped(labelled(set_), (0.0,) * 3, (1.0,) * 3, tmp_path / "train")

    needed = 4 * (1000**2 + 299 * 32**2)
    assert set_.pixels.nbytes + set_.masks.nbytes == needed
    written = sum(path.stat().st_size for path in (tmp_path / "train").iterdir())
    assert needed <= written < needed + 10_000


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_normalising_subtracts_the_mean_and_divides_by_the_standard_deviation(dtype: torch.dtype) -> None:
    images = packed(dtype)
    pixels, _ = images.images_of([0, 2])
    normalised = images.normalise(pixels)

    assert normalised.dtype == torch.float32
    expected = (pixels.numpy().astype("float64") - [[[[10]], [[20]]]]) / [[[[2]], [[4]]]]
    assert torch.allclose(normalised.double(), torch.from_numpy(expected))
