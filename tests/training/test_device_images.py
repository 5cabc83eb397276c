"""A packed set: padding copies the border and is ignored; normalising uses the given statistics."""

from __future__ import annotations

import pytest
import torch

from nas_attn.training import DeviceImages

CPU = torch.device("cpu")


def packed(least_size: int, dtype: torch.dtype = torch.uint8) -> DeviceImages:
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, 2, 6, 7), generator=random).to(dtype)
    masks = torch.randint(0, 3, (2, 6, 7), generator=random).to(torch.uint8)
    masks[0, 4:] = 255
    masks[0, :, 5:] = 255
    return DeviceImages.pack(
        pixels, masks, (4, 6), (5, 7), (10.0, 20.0), (2.0, 4.0), least_size=least_size, device=CPU
    )


@pytest.mark.parametrize(("least_size", "shape"), [(1, (6, 7)), (7, (7, 7)), (9, (9, 9))])
def test_a_set_grows_to_the_least_size(least_size: int, shape: tuple[int, int]) -> None:
    images = packed(least_size)

    assert len(images) == 2
    assert images.pixels.shape == (2, 2, *shape)
    assert images.masks.shape == (2, *shape)


def test_beyond_an_image_stand_copies_of_its_border_and_no_label() -> None:
    images = packed(9)
    original = packed(1)

    for index, (height, width) in enumerate(((4, 5), (6, 7))):
        for row in range(9):
            for column in range(9):
                inside = row < height and column < width
                nearest = original.pixels[index, :, min(row, height - 1), min(column, width - 1)]
                assert torch.equal(images.pixels[index, :, row, column], nearest)
                assert inside or images.masks[index, row, column] == 255
                assert not inside or images.masks[index, row, column] == original.masks[index, row, column]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_normalising_subtracts_the_mean_and_divides_by_the_standard_deviation(dtype: torch.dtype) -> None:
    images = packed(1, dtype)
    values = images.normalise(images.pixels)

    assert values.dtype == torch.float32
    expected = (images.pixels.numpy().astype("float64") - [[[[10]], [[20]]]]) / [[[[2]], [[4]]]]
    assert torch.allclose(values.double(), torch.from_numpy(expected))
