import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_attn.data.dataset import pack
from nas_attn.fit.crops import CropBatch, CropPlan, CropSource, EpochSteps, tinted
from nas_attn.training.reflect_pad import enlarged, mirrored


def coordinate_source(heights, widths, size):
    """Images whose three channels say which image, row and column a pixel is; masks that follow from the pixel."""
    pixels = torch.zeros(len(heights), 3, max(heights), max(widths), dtype=torch.uint8)
    masks = torch.full((len(heights), max(heights), max(widths)), 255, dtype=torch.uint8)
    for image, (height, width) in enumerate(zip(heights, widths, strict=True)):
        for row in range(height):
            for column in range(width):
                pixels[image, :, row, column] = torch.tensor([image, row, column])
                masks[image, row, column] = mask_value(image, row, column)
    sizes = list(zip(pixels, masks, heights, widths, strict=True))
    images = [image[:, :height, :width] for image, _, height, width in sizes]
    labels = [mask[:height, :width] for _, mask, height, width in sizes]
    return CropSource.of(pack(images, labels, map(str, range(len(sizes)))), size)


def mask_value(image, row, column):
    return (image * 50 + row * 7 + column * 3) % 200


def cut_many(source, n=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.arange(n) % len(source.heights)
    return images, *source.cut(CropBatch(images, torch.rand(n, 7, generator=generator)))


def test_every_crop_pixel_comes_with_its_own_mask_value():
    images, pixels, masks = cut_many(coordinate_source([9, 5], [7, 11], size=8))
    for crop in range(len(images)):
        for row in range(8):
            for column in range(8):
                which, source_row, source_column = pixels[crop, :, row, column].tolist()
                assert which == images[crop]
                assert masks[crop, row, column] == mask_value(which, source_row, source_column)


def test_a_crop_within_an_image_is_a_window_flipped_and_turned():
    _, pixels, _ = cut_many(coordinate_source([20], [16], size=8))
    seen = set()
    for crop in pixels:
        rows, columns = crop[1].numpy().astype(int), crop[2].numpy().astype(int)
        turned = rows[0, 0] == rows[1, 0]
        if turned:
            rows, columns = rows.T, columns.T
        assert (rows == rows[:, :1]).all()
        assert (columns == columns[:1]).all()
        down, across = np.diff(rows[:, 0]), np.diff(columns[0])
        assert set(down) in ({1}, {-1})
        assert set(across) in ({1}, {-1})
        seen.add((turned, down[0], across[0]))
    assert len(seen) == 8


def test_crops_reach_every_corner_of_an_image():
    _, pixels, _ = cut_many(coordinate_source([12], [10], size=8), n=256)
    assert {(int(crop[1].min()), int(crop[2].min())) for crop in pixels} == {
        (row, column) for row in range(5) for column in range(3)
    }


def test_a_crop_larger_than_its_image_holds_all_of_it_and_no_padding():
    _, pixels, masks = cut_many(coordinate_source([5], [4], size=8))
    for crop, mask in zip(pixels, masks, strict=True):
        assert set(crop[1].flatten().tolist()) == set(range(5))
        assert set(crop[2].flatten().tolist()) == set(range(4))
        assert 255 not in mask


@given(st.integers(1, 9), st.integers(0, 30))
def test_mirrored_coordinates_are_those_of_numpy_reflection(length, beyond):
    expected = np.pad(np.arange(length), beyond, mode="reflect" if length > 1 else "edge")
    assert mirrored(torch.arange(-beyond, length + beyond), length).tolist() == expected.tolist()


def test_enlarged_images_are_reflected_at_the_bottom_and_the_right():
    image = np.random.default_rng(0).integers(0, 255, (2, 3, 5, 7))
    expected = np.pad(image, ((0, 0), (0, 0), (0, 9), (0, 1)), mode="reflect")
    assert (enlarged(torch.from_numpy(image), 14, 8).numpy() == expected).all()


def test_images_large_enough_are_left_alone():
    image = torch.rand(1, 3, 20, 16)
    assert torch.equal(enlarged(image, 16, 16), image)


@settings(max_examples=30)
@given(n_images=st.integers(1, 20), batch_size=st.integers(1, 8), seed=st.integers(0, 3))
def test_every_image_is_used_once_before_any_is_used_again(n_images, batch_size, seed):
    plan = CropPlan(n_images, batch_size, seed)
    used = torch.cat([plan[step].images for step in range(2 * n_images)])
    for start in range(0, 2 * n_images * batch_size - n_images, n_images):
        assert sorted(used[start : start + n_images].tolist()) == list(range(n_images))


def test_a_step_is_a_function_of_seed_and_step_alone():
    first, again, other = CropPlan(9, 4, seed=1), CropPlan(9, 4, seed=1), CropPlan(9, 4, seed=2)
    for _ in range(3):
        again[7]  # what was drawn before changes nothing
    assert torch.equal(first[5].images, again[5].images)
    assert torch.equal(first[5].draws, again[5].draws)
    assert not torch.equal(first[5].draws, other[5].draws)
    assert not torch.equal(first[5].draws, first[6].draws)


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_a_batch_without_gap_or_overlap(world_size):
    whole = CropPlan(9, 6, seed=0)[4]
    shares = [CropPlan(9, 6, seed=0, rank=rank, world_size=world_size)[4] for rank in range(world_size)]
    drawn = torch.cat([share.draws for share in shares])
    assert sorted(drawn.tolist()) == sorted(whole.draws.tolist())
    assert {len(share.images) for share in shares} == {6 // world_size}


def test_an_epoch_has_the_steps_that_follow_those_taken():
    taken = 0
    sampler = EpochSteps(lambda: taken, 3)
    assert (list(sampler), len(sampler)) == ([0, 1, 2], 3)
    taken = 6
    assert list(sampler) == [6, 7, 8]


def test_tint_is_mild_and_leaves_the_image_alone_in_the_middle_of_its_range():
    inputs = torch.ones(3, 2, 4, 4)
    draws = torch.zeros(3, 7)
    draws[0, 5:], draws[1, 5:] = 0.5, 1.0
    tinted_inputs = tinted(inputs, draws)
    assert torch.equal(tinted_inputs[0], inputs[0])
    assert tinted_inputs[1].mean() == pytest.approx(1.4)
    assert tinted_inputs[2].mean() == pytest.approx(0.6)
