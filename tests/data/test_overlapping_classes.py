"""Masks of classes that may overlap: a folder, a suffix or a channel for each class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from nas_attn.data import absent_classes, check_folder, read_folder
from nas_attn.data.overlapping import bit_of
from nas_attn.data.proposal import propose
from nas_attn.errors import DataError

Save = Callable[[Path, np.ndarray], Path]
SPLITS = ("train", "val", "test")
BY_FOLDER = "multi_label: true\nmasks: {disc: masks/disc, cup: masks/cup}\n"


def planes(k: int = 2) -> np.ndarray:
    """(K, 6, 8) where each is; all overlap somewhere, and each is somewhere alone."""
    return np.stack([(np.arange(48) % (index + 2) == 0).reshape(6, 8) for index in range(k)])


@pytest.fixture
def images(tmp_path: Path, save: Save) -> Path:
    random = np.random.default_rng(0)
    for split in SPLITS:
        for name in ("a", "b"):
            save(tmp_path / "images" / split / f"{name}.png", random.integers(0, 256, (6, 8, 3)).astype(np.uint8))
    return tmp_path


def mask(plane: np.ndarray) -> np.ndarray:
    return plane.astype(np.uint8) * 255


def by_folder(folder: Path, save: Save) -> Path:
    for split in SPLITS:
        for stem in ("a", "b"):
            for name, plane in zip(("disc", "cup"), planes(), strict=True):
                save(folder / "masks" / name / split / f"{stem}.png", mask(plane))
    return folder


def declare(folder: Path, text: str) -> Path:
    (folder / "dataset.yaml").write_text(text)
    return folder


def codes(k: int = 2) -> np.ndarray:
    return sum(plane.astype(np.int64) << bit_of(index) for index, plane in enumerate(planes(k)))


def test_a_folder_for_each_class_is_read_and_proposed(images: Path, save: Save) -> None:
    folder = by_folder(images, save)

    assert propose(folder) == "images: images\nmulti_label: true\nmasks: {cup: masks/cup, disc: masks/disc}\n"
    dataset = read_folder(declare(folder, BY_FOLDER))
    assert (dataset.classes, dataset.multi_label) == (("disc", "cup"), True)
    assert np.array_equal(dataset.train.mask(0).numpy(), codes())
    report = check_folder(folder)
    assert report.splits[0].class_shares == pytest.approx(planes().mean((1, 2)).tolist())
    assert not [note for note in report.notes if "no pixel" in note]


def test_suffixes_are_globs(images: Path, save: Save) -> None:
    for split in SPLITS:
        for stem in ("a", "b"):
            for name, plane in zip(("disc", "cup"), planes(), strict=True):
                save(images / "masks" / f"{split}_{name}" / f"{stem}_{name}.png", mask(plane))
    places = ", ".join(
        f"{name}: {{{', '.join(f'{split}: masks/{split}_{name}/*_{name}.png' for split in SPLITS)}}}"
        for name in ("disc", "cup")
    )
    places = places.replace("masks/", "'masks/").replace(".png", ".png'")
    inputs = ", ".join(f"{split}: 'images/{split}/*.png'" for split in SPLITS)

    dataset = read_folder(declare(images, f"multi_label: true\nimages: {{{inputs}}}\nmasks: {{{places}}}\n"))
    assert np.array_equal(dataset.val.mask(1).numpy(), codes())


@pytest.mark.parametrize("k", [3, 9])
def test_a_channel_for_each_class(images: Path, k: int) -> None:
    for split in SPLITS:
        (images / "masks" / split).mkdir(parents=True)
        for stem in ("a", "b"):
            values = np.moveaxis(planes(k), 0, -1).astype(np.uint8)
            path = images / "masks" / split / f"{stem}.tif"
            tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")
    names = [f"c{index}" for index in range(k)]

    dataset = read_folder(declare(images, f"multi_label: true\nclasses: [{', '.join(names)}]\n"))
    assert dataset.train.labels[0].dtype == (torch.uint8 if k < 8 else torch.int32)
    assert np.array_equal(dataset.train.mask(0).numpy(), codes(k))


def test_a_missing_mask_says_that_the_class_is_absent(images: Path, save: Save) -> None:
    folder = by_folder(images, save)
    for stem in ("a", "b"):
        (folder / "masks" / "cup" / "val" / f"{stem}.png").unlink()

    dataset = read_folder(declare(folder, BY_FOLDER))
    assert absent_classes(dataset.val, dataset.classes) == ("cup",)
    notes = check_folder(folder).notes
    assert "2 images have no mask of 'cup': the class is absent there" in notes
    assert "class 'cup' does not occur in val; the mean there is without it" in notes
    (folder / "masks" / "disc" / "val" / "a.png").unlink()
    (line,) = check_folder(folder).problems
    assert line.startswith("images/val/a.png: image without mask")


def test_ignored_pixels_are_ignored_for_all_classes(images: Path, save: Save) -> None:
    folder = by_folder(images, save)
    values = mask(planes()[1])
    values[0, :3] = 128
    save(folder / "masks" / "cup" / "train" / "a.png", values)

    dataset = read_folder(declare(folder, BY_FOLDER + "ignore_index: 128\n"))
    found = dataset.train.mask(0).numpy()
    assert (found[0, :3] == 255).all()
    assert (found[1:] == codes()[1:]).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("masks: {disc: masks/disc, cup: masks/cup}\n", "write 'multi_label: true' too"),
        ("multi_label: true\n", "needs the names of the classes"),
        ("multi_label: true\nmasks: {disc: masks/disc}\n", "1 classes; from 2 to 30 may overlap"),
        (f"{BY_FOLDER}classes: [disc, cup, rim]\n", "no place for the masks of rim"),
        (f"{BY_FOLDER}classes: [disc, cap]\n", "unknown class 'cup'"),
        (f"{BY_FOLDER}mask_values: {{0: disc, 1: cup}}\n", "in which a pixel has one class"),
        (f"{BY_FOLDER}ignore_index: 0\n", "ignored pixels need another value"),
    ],
)
def test_what_does_not_go_together_is_told(images: Path, save: Save, text: str, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        read_folder(declare(by_folder(images, save), text))

    assert any(expected in problem for problem in caught.value.problems)


def test_a_mask_of_more_than_two_values_names_what_reads_it(images: Path, save: Save) -> None:
    folder = by_folder(images, save)
    save(folder / "masks" / "cup" / "train" / "a.png", np.arange(48, dtype=np.uint8).reshape(6, 8))

    (line,) = check_folder(declare(folder, BY_FOLDER)).problems
    assert "the mask of a class has two" in line
    assert "'threshold: 127'" in line
    dataset = read_folder(declare(folder, BY_FOLDER + "instances: true\n"))
    assert (dataset.train.mask(0).numpy() & 2 > 0).sum() == 47
