"""Folds of a small set: every image is held out once, and what belongs together stays together."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nas_attn.data import (
    Dataset,
    fold_dataset,
    folds_of,
    read_folder,
    synthetic,
    synthetic_clips,
    without_validation,
)
from nas_attn.data.dataset import LabelledImages, assemble, pack
from nas_attn.errors import UsageError


def images(number: int, start: int = 0, clips: tuple[int, ...] = ()) -> LabelledImages:
    """Images that all differ."""
    random = np.random.default_rng(start)
    pixels = [torch.from_numpy(random.integers(0, 256, (1, 6, 6)).astype(np.uint8)) for _ in range(number)]
    masks = [torch.zeros(6, 6, dtype=torch.uint8) for _ in range(number)]
    return pack(pixels, masks, [f"{start + index:03}" for index in range(number)], clips)


def dataset(n_train: int, n_val: int) -> Dataset:
    return assemble("set", ("a", "b"), images(n_train), images(n_val, 500), images(2, 900))


@settings(max_examples=30, deadline=None)
@given(n_train=st.integers(1, 20), n_val=st.integers(1, 9), number=st.integers(2, 6))
def test_every_image_is_held_out_once_and_the_folds_are_as_even_as_can_be(
    n_train: int, n_val: int, number: int
) -> None:
    data = dataset(n_train, n_val)
    if n_train + n_val < number:
        problem = f"^--folds {number}: train and val hold {n_train + n_val} images or groups of them that "
        with pytest.raises(UsageError, match=problem):
            folds_of(data, number)
        return
    folds = folds_of(data, number)
    held = [fold_dataset(data, folds, fold) for fold in range(number)]

    names = [*data.train.names, *data.val.names]
    assert sorted(name for one in held for name in one.val.names) == sorted(names)
    for one in held:
        assert sorted([*one.train.names, *one.val.names]) == sorted(names)
        assert one.test is data.test
    sizes = Counter(folds).values()
    assert len(sizes) == number
    assert max(sizes) - min(sizes) <= 1
    assert folds_of(data, number) == folds


def test_images_with_their_pixels_masks_and_sizes_stay_one() -> None:
    data = synthetic(image_size=16, n_train=5, n_val=3, n_test=1)
    one = fold_dataset(data, folds_of(data, 4), 1)
    pixels = {
        name: (part.image(index), part.mask(index))
        for part in (data.train, data.val)
        for index, name in enumerate(part.names)
    }
    for part in (one.train, one.val):
        for index, name in enumerate(part.names):
            assert torch.equal(part.image(index), pixels[name][0])
            assert torch.equal(part.mask(index), pixels[name][1])
            assert (part.heights[index], part.widths[index]) == part.mask(index).shape


def test_a_declared_group_is_in_one_fold() -> None:
    data = dataset(10, 2)
    groups = ("p1", "", "p2", "p1", "", "", "p2", "", "p1", "")
    data = replace(data, train=replace(data.train, groups=groups), val=replace(data.val, groups=("p1", "")))
    folds = folds_of(data, 3)
    for group in ("p1", "p2"):
        assert len({folds[place] for place, name in enumerate((*groups, "p1", "")) if name == group}) == 1
    assert len(set(folds)) == 3


def test_images_with_the_same_pixels_are_in_one_fold_unless_they_are_of_one_colour() -> None:
    data = dataset(8, 2)
    pixels = list(data.train.images)
    pixels[5] = pixels[1].clone()
    pixels[2] = torch.full((1, 6, 6), 9, dtype=torch.uint8)
    pixels[3], pixels[4] = pixels[2].clone(), pixels[2].clone()
    data = replace(data, train=replace(data.train, images=tuple(pixels)))
    folds = folds_of(data, 9)

    assert folds[1] == folds[5]
    assert len({folds[place] for place in (2, 3, 4)}) == 3


def test_a_clip_is_never_parted() -> None:
    data = synthetic_clips(image_size=16, n_train=3, n_val=2, n_test=1)
    folds = folds_of(data, 2)
    assert len(folds) == len(data.train.clips) + len(data.val.clips)
    for fold in range(2):
        one = fold_dataset(data, folds, fold)
        assert sum(one.val.clips) == len(one.val)
        assert len(one.val.clips) == folds.count(fold)


def test_groups_of_a_folder_are_those_that_its_declaration_names(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for split, names in (("train", ("a_1", "a_2", "b_1", "c_1")), ("val", ("d_1", "d_2")), ("test", ("e_1",))):
        for name in names:
            for kind, top in (("images", 256), ("masks", 2)):
                path = tmp_path / kind / split / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, top, (8, 8)).astype(np.uint8)).save(path)
    (tmp_path / "dataset.yaml").write_text("group: '^[a-z]'\n", encoding="utf-8")
    data = read_folder(tmp_path)
    folds = dict(zip([*data.train.names, *data.val.names], folds_of(data, 4), strict=True))

    assert data.train.groups == ("a", "a", "b", "c")
    assert folds["a_1"] == folds["a_2"]
    assert folds["d_1"] == folds["d_2"]
    with pytest.raises(UsageError, match="hold 4 images or groups of them that can be parted; take at most 4"):
        folds_of(data, 5)


def test_to_verify_train_and_val_are_trained_on_and_the_packed_files_are_others() -> None:
    data = dataset(4, 3)
    found = without_validation(data)

    assert found.train.names == (*data.train.names, *data.val.names)
    assert found.val is found.test is data.test
    assert found.fingerprint != data.fingerprint
