import numpy as np
import pytest
import torch

from nas_attn.training.full.overlay import PALETTE, colour_of, draw_legend, draw_overlay


def drawn(pixels, labels):
    return np.asarray(draw_overlay(torch.as_tensor(pixels), torch.as_tensor(labels, dtype=torch.uint8))).astype(
        int
    )


def test_background_is_left_as_it_is_and_an_object_is_outlined_and_tinted():
    image = np.random.default_rng(0).integers(0, 256, (3, 12, 10), dtype=np.uint8)
    labels = np.zeros((12, 10), dtype=np.uint8)
    labels[3:9, 2:8] = 1
    overlay = drawn(image, labels)
    expected = image.transpose(1, 2, 0).astype(float)
    inner = np.zeros_like(labels, dtype=bool)
    inner[4:8, 3:7] = True
    expected[inner] = 0.65 * expected[inner] + 0.35 * np.array(PALETTE[0])
    expected[(labels == 1) & ~inner] = PALETTE[0]
    assert np.abs(overlay - expected).max() <= 1


def test_touching_classes_are_parted_by_both_their_contours():
    labels = np.ones((6, 8), dtype=np.uint8)
    labels[:, 4:] = 2
    overlay = drawn(np.zeros((1, 6, 8), dtype=np.uint8), labels)
    assert (overlay[:, 3] == PALETTE[0]).all()
    assert (overlay[:, 4] == PALETTE[1]).all()
    assert (overlay[:, 0] != PALETTE[0]).any()


def test_contours_are_wider_in_large_images():
    labels = np.zeros((1100, 20), dtype=np.uint8)
    labels[500:] = 1
    overlay = drawn(np.zeros((1, 1100, 20), dtype=np.uint8), labels)
    assert [(overlay[row, 5] == PALETTE[0]).all() for row in range(499, 504)] == [False, True, True, False, False]


@pytest.mark.parametrize(("channels", "shown"), [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (5, [0, 1, 2])])
def test_images_of_any_number_of_channels_can_be_shown(channels, shown):
    image = np.random.default_rng(0).integers(0, 256, (channels, 5, 4), dtype=np.uint8)
    assert (drawn(image, np.zeros((5, 4))) == image[shown].transpose(1, 2, 0)).all()


def test_sixteen_bits_are_stretched_to_what_can_be_seen():
    image = np.linspace(1000, 3000, 10_000, dtype=np.int32).reshape(1, 100, 100)
    overlay = drawn(image, np.zeros((100, 100)))
    low, high = np.percentile(image, (1, 99))
    expected = ((image[0] - low) / (high - low) * 255).clip(0, 255)
    assert np.abs(overlay[..., 0] - expected).max() <= 1


def test_a_constant_image_of_sixteen_bits_can_be_shown():
    assert (drawn(np.full((1, 4, 4), 5000, dtype=np.int32), np.zeros((4, 4))) == 0).all()


def test_there_are_colours_for_every_label_of_a_mask():
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert drawn(np.zeros((3, 16, 16), dtype=np.uint8), labels).shape == (16, 16, 3)
    assert len({colour_of(label) for label in range(1, 8)}) == 7


def test_a_legend_shows_the_colour_of_every_class_but_the_first():
    legend = np.asarray(draw_legend(("background", "nucleus", "a rather long name of a class")))
    assert (legend == PALETTE[0]).all(-1).any()
    assert (legend == PALETTE[1]).all(-1).any()
    assert not (legend == PALETTE[2]).all(-1).any()
    assert legend.shape[1] > draw_legend(("background", "nucleus")).width
