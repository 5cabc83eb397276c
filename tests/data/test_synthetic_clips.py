"""The built-in clips: repeatable, labelled frame by frame, and ambiguous wherever one sees a single frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.data import LabelledImages, synthetic_clips
from nas_attn.errors import DataError

RESTING, MOVING = 1, 2


@pytest.fixture(scope="module")
def train() -> LabelledImages:
    return synthetic_clips(image_size=32, n_train=200, n_val=1, n_test=1, noise=0.0).train


def test_a_seed_gives_the_same_clips_and_another_one_others() -> None:
    one, again, other = (synthetic_clips(image_size=16, n_train=2, n_val=1, n_test=1, seed=s) for s in (0, 0, 1))
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_more_clips_change_none_of_the_others() -> None:
    few, many = (synthetic_clips(image_size=16, n_train=n, n_val=1, n_test=1).train for n in (2, 3))
    assert few.clips == (8, 8)
    assert torch.equal(many.pixels[:16], few.pixels)
    assert many.names[8:10] == ("train-0001/0000", "train-0001/0001")


def test_what_rests_stays_and_what_moves_does_not(train: LabelledImages) -> None:
    resting, moving = 0, 0
    for masks in train.masks.view(-1, 8, 32, 32):
        free = ~(masks == MOVING).any(0)  # nothing has moved there
        assert ((masks == RESTING)[:, free] == (masks == RESTING)[0, free]).all()
        resting += int((masks == RESTING).any())
        alike = (masks[1:] == MOVING) == (masks[:1] == MOVING)
        moving += int((masks == MOVING).any())
        assert not alike.all() or not (masks == MOVING).any()
    assert resting > 150
    assert moving > 150


def test_a_single_frame_does_not_tell_what_moves(train: LabelledImages) -> None:
    """There are as many pixels of both classes, and no threshold parts them."""
    classes = {label: train.masks == label for label in (RESTING, MOVING)}
    shares = {label: where.sum().item() for label, where in classes.items()}
    assert shares[RESTING] == pytest.approx(shares[MOVING], rel=0.15)
    values = {label: np.sort(train.pixels[:, 0][where].numpy()) for label, where in classes.items()}
    levels = np.arange(256)
    curves = [np.searchsorted(found, levels) / len(found) for found in values.values()]
    assert abs(curves[0] - curves[1]).max() < 0.1  # Kolmogorov's bound for 450 bodies of each class


def test_classes_and_sizes_are_those_of_the_task() -> None:
    dataset = synthetic_clips(image_size=20, length=3, n_train=2, n_val=3, n_test=1)
    assert dataset.classes == ("background", "resting", "moving")
    assert dataset.in_channels == 1
    assert dataset.val.pixels.shape == (9, 1, 20, 20)
    assert (dataset.train.clips, dataset.val.clips, dataset.test.clips) == ((3, 3), (3, 3, 3), (3,))
    assert dataset.shortest_clip == 3


def test_values_out_of_range_are_all_named() -> None:
    with pytest.raises(DataError) as refused:
        synthetic_clips(image_size=8, length=1, n_val=0, noise=1.5)
    assert refused.value.problems == (
        "clips: image_size is 8; it must be a whole number of at least 16",
        "clips: length is 1; it must be a whole number of at least 2",
        "clips: n_val is 0; it must be a whole number of at least 1",
        "clips: noise is 1.5; it must be from 0 to below 1",
    )
