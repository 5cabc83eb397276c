"""Folders in forms that people really have: each is read rightly, or one line says what to write.

What a right reading is comes from the scripts' own scenes, drawn anew here.
"""

from __future__ import annotations

import runpy
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nas_attn.data import Dataset, check_folder, read_folder
from nas_attn.data.declaration import declared_by
from nas_attn.data.folder import survey_folder
from nas_attn.data.proposal import propose
from nas_attn.data.shrink import LeastSide

Build = Callable[..., Path]
Scene = tuple[str, str, np.ndarray, np.ndarray]


@pytest.fixture
def base(shared_cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the scripts share: ``each`` draws their scenes."""
    monkeypatch.setattr(sys, "argv", ["base.py", str(tmp_path / "none")])
    return runpy.run_path(str(shared_cases / "base.py"))


@pytest.fixture
def build(shared_cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Run a script of the cases; what it says of its folder may be followed by a ``dataset.yaml``."""

    def run(name: str, *arguments: str, yaml: str = "") -> Path:
        folder = tmp_path / name
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the scripts are not ours
            patch.setattr(sys, "argv", [f"{name}.py", str(folder), *arguments])
            patch.syspath_prepend(str(shared_cases))
            sys.modules.pop("base", None)
            runpy.run_path(str(shared_cases / f"{name}.py"))
            sys.modules.pop("base", None)
        if yaml:
            (folder / "dataset.yaml").write_text(yaml)
        return folder

    return run


def read_as(dataset: Dataset, scenes: list[Scene], named: Callable[[str], str] = str, images: bool = True) -> None:
    """The data set holds these scenes, whatever split each was put into by its name."""
    held = {
        name: (split.image(index), split.mask(index))
        for split in (dataset.train, dataset.val, dataset.test)
        for index, name in enumerate(split.names)
    }
    assert held.keys() == {named(name) for _, name, _, _ in scenes}
    for _, name, image, mask in scenes:
        pixels, labels = held[named(name)]
        assert np.array_equal(labels.numpy(), mask), name
        if images:
            assert np.array_equal(pixels.numpy(), image.transpose(2, 0, 1)), name


def splits_as(dataset: Dataset, scenes: list[Scene]) -> None:
    found = {"train": len(dataset.train), "val": len(dataset.val), "test": len(dataset.test)}
    assert found == {split: sum(one[0] == split for one in scenes) for split in found}


READ_AS_THEY_COME = {
    "plain": {},
    "linked": {},
    "linked_files": {},
    "npy_masks": {},
    "float_mask_only": {},
}


@pytest.mark.parametrize("name", READ_AS_THEY_COME)
def test_a_folder_is_read_as_it_comes(name: str, build: Build, base: dict[str, Any]) -> None:
    dataset, scenes = read_folder(build(name)), list(base["each"]())
    read_as(dataset, scenes)
    splits_as(dataset, scenes)


DECLARED = {
    "cityscapes_names": (
        "clips: false\nimage_suffix: _leftImg8bit\nmask_suffix: _gtFine_labelIds\n",
        lambda name: f"aachen/aachen_{name}",
    ),
    "jpeg_masks": ("threshold: 127\n", str),
    "mmseg_layout": ("images: img_dir\nmasks: ann_dir\n", str),
    "nnunet_renamed": ("image_suffix: _0000\n", str),
}


@pytest.mark.parametrize("name", DECLARED)
def test_a_folder_is_read_as_declared(name: str, build: Build, base: dict[str, Any]) -> None:
    yaml, named = DECLARED[name]
    dataset, scenes = read_folder(build(name, yaml=yaml)), list(base["each"]())
    read_as(dataset, scenes, named)
    if name != "nnunet_renamed":  # which has no splits
        splits_as(dataset, scenes)


def test_absent_val_judges_no_class_that_val_lacks(build: Build) -> None:
    notes = check_folder(build("absent_val")).notes
    for split in ("val", "test"):
        assert f"class 'class2' does not occur in {split}; the mean there is without it" in notes


def test_antialias_with_a_threshold(build: Build, base: dict[str, Any]) -> None:
    """Shrunk to half by means: a pixel is foreground where more than half of what it covers is."""
    folder = build("antialias", yaml="threshold: 127\n")
    scenes = [(s, n, i[::2, ::2], m) for s, n, i, m in base["each"](h=64, w=64)]
    dataset = read_folder(folder)
    for index, name in enumerate(dataset.val.names):
        mask = next(m for _, n, _, m in scenes if n == name)
        inside = (mask[::2, ::2] == 1) & (mask[1::2, 1::2] == 1) & (mask[::2, 1::2] == 1) & (mask[1::2, ::2] == 1)
        outside = (mask[::2, ::2] == 0) & (mask[1::2, 1::2] == 0) & (mask[::2, 1::2] == 0) & (mask[1::2, ::2] == 0)
        found = dataset.val.mask(index).numpy()
        core = inside[1:-1, 1:-1] & inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
        assert (found[1:-1, 1:-1][core] == 1).all()
        far = outside[1:-1, 1:-1] & outside[:-2, 1:-1] & outside[2:, 1:-1] & outside[1:-1, :-2] & outside[1:-1, 2:]
        assert (found[1:-1, 1:-1][far] == 0).all()


def test_carvana_gif(build: Build, base: dict[str, Any]) -> None:
    read_as(read_folder(build("carvana_gif")), list(base["each"]()), images=False)


COLOURS = "mask_colors: {background: [0, 0, 0], red: [128, 0, 0], green: [0, 128, 0]}\n"


def test_colour_masks(build: Build, base: dict[str, Any]) -> None:
    dataset = read_folder(build("colour_masks", yaml=COLOURS))
    read_as(dataset, list(base["each"](classes=3)))
    assert dataset.classes == ("background", "red", "green")


def test_float_tiff_in_16_bits(build: Build, base: dict[str, Any]) -> None:
    dataset, scenes = read_folder(build("float_tiff")), list(base["each"]())
    read_as(dataset, scenes, images=False)
    image = scenes[0][2].transpose(2, 0, 1)
    assert np.array_equal(dataset.train.image(0).numpy(), np.rint(image.astype(np.float64) / 255 * 65535))


@pytest.mark.parametrize("name", ["geotiff_overviews", "tiff_thumbnail"])
def test_smaller_copies_in_a_file_are_left_out(name: str, build: Build, base: dict[str, Any]) -> None:
    read_as(read_folder(build(name)), list(base["each"](h=64, w=64)))


@pytest.mark.parametrize("tag", ["unspecified", "unassalpha"])
def test_geotiff_rgbn_keeps_its_fourth_band(tag: str, build: Build, base: dict[str, Any]) -> None:
    dataset = read_folder(build("geotiff_rgbn", tag, yaml="in_channels: 4\n"))
    read_as(dataset, [(s, n, np.dstack([i, np.roll(i[..., 0], 3)]), m) for s, n, i, m in base["each"]()])


@pytest.mark.parametrize("channels", [3, 4])
def test_rgba_declared(channels: int, build: Build, base: dict[str, Any]) -> None:
    dataset = read_folder(build("rgba_declared", str(channels)))
    bands = [(s, n, np.dstack([i, np.roll(i[..., 0], 3)])[..., :channels], m) for s, n, i, m in base["each"]()]
    read_as(dataset, bands)


def test_rgba_images_without_alpha(build: Build, base: dict[str, Any]) -> None:
    read_as(read_folder(build("rgba_images", yaml="in_channels: 3\n")), list(base["each"]()))


@pytest.mark.parametrize(("kind", "values"), [("gap", [0, 1, 3]), ("one", [1, 2, 3])])
def test_index_gap_with_named_values(kind: str, values: list[int], build: Build, base: dict[str, Any]) -> None:
    meanings = ", ".join(f"{value}: class{index}" for index, value in enumerate(values))
    folder = build("index_gap", kind, yaml=f"mask_values: {{{meanings}}}\n")
    read_as(read_folder(folder), list(base["each"](classes=3)))


def test_instance_ids_become_one_class(build: Build) -> None:
    folder = build("instance_ids", yaml="instances: true\n")
    dataset = read_folder(folder)
    for index, stem in enumerate(dataset.train.names):
        stored = np.asarray(Image.open(folder / "masks" / "train" / f"{stem}.png"))
        assert np.array_equal(dataset.train.mask(index).numpy(), stored > 0)


def test_numbers_of_objects_are_no_classes(build: Build) -> None:
    (line,) = check_folder(build("instance_ids")).problems
    assert "look like numbers of objects, not of classes: 'instances: true' in dataset.yaml" in line


def test_more_values_than_classes_are_possible_name_the_limit(build: Build) -> None:
    line, _ = check_folder(build("instance_many")).problems
    assert "hold 300 values" in line
    assert "at most 254 classes are possible; if they number objects, 'instances: true'" in line


def test_instance_many_names_only_the_image_that_is_in_two_splits(build: Build) -> None:
    (line,) = check_folder(build("instance_many", yaml="instances: true\n")).problems
    assert line.startswith("images/val/val4.png (val) and images/test/test0.png (test): the same pixels")


def test_mask_per_instance(build: Build, base: dict[str, Any]) -> None:
    folder = build("mask_per_instance", yaml="images: '*/images'\nmasks: '*/masks'\ninstances: true\n")
    merged = [(s, n, i, np.maximum.reduce([np.roll(m, 5 * k) for k in range(3)])) for s, n, i, m in base["each"]()]
    read_as(read_folder(folder), merged)


@pytest.mark.parametrize("suffix", [".jpg", "-mask", "_masks", "_gt", "_L"])
def test_mask_suffixes(suffix: str, build: Build, base: dict[str, Any]) -> None:
    folder = build("mask_suffixes", suffix, yaml=f"mask_suffix: {suffix}\n")
    read_as(read_folder(folder), list(base["each"]()), images=False)


def test_nested_still_are_stills_where_declared(build: Build) -> None:
    dataset = read_folder(build("nested_still", "same", yaml="clips: false\n"))
    assert not dataset.has_clips
    assert dataset.val.names == ("patientval0/000", "patientval0/001", "patientval0/002", "patientval0/003")


def test_nested_still_of_one_size_are_clips_and_it_is_said(build: Build) -> None:
    report = check_folder(build("nested_still", "same"))
    assert report.usable
    line = "5 folders are read as clips; 'clips: false' in dataset.yaml reads their images as still images"
    assert line in report.notes


def test_names_in_two_unicode_forms_belong_together(build: Build, base: dict[str, Any]) -> None:
    read_as(read_folder(build("nfc_nfd")), list(base["each"]()), lambda name: f"zell\u00e9_{name}")


def test_nnunet_layout_is_read_by_its_own_dataset_json(build: Build, base: dict[str, Any]) -> None:
    dataset = read_folder(build("nnunet_layout"))
    read_as(dataset, list(base["each"]()))
    assert dataset.classes == ("background", "cell")


def test_palette_missing_is_refused_and_read_by_its_colours(build: Build, base: dict[str, Any]) -> None:
    folder = build("palette_missing")
    assert any("palettes differ: index" in line for line in check_folder(folder).problems)
    colours = "mask_colors: {ground: [0, 0, 0], person: [220, 20, 60], car: [0, 0, 142]}\n"
    (folder / "dataset.yaml").write_text(colours)
    true = read_folder(build("palette_true", yaml="classes: [ground, person, car]\n"))
    dataset = read_folder(folder)
    assert all(torch.equal(one, other) for one, other in zip(dataset.train.labels, true.train.labels, strict=True))
    assert dataset.fingerprint == true.fingerprint


def test_rasterio_rgbn(build: Build, base: dict[str, Any]) -> None:
    pytest.importorskip("rasterio", reason="needs rasterio, which writes these files")
    dataset = read_folder(build("rasterio_rgbn"))
    read_as(dataset, [(s, n, np.dstack([i, np.roll(i[..., 0], 3)]), m) for s, n, i, m in base["each"]()])


def test_tiff_multipage_pages_are_channels_and_it_is_said(build: Build, base: dict[str, Any]) -> None:
    folder = build("tiff_multipage")
    stacks = [(s, n, np.dstack([np.roll(i[..., 0], k) for k in range(5)]), m) for s, n, i, m in base["each"]()]
    read_as(read_folder(folder), stacks)
    assert "22 images are read with their pages as channels" in check_folder(folder).notes


def test_one_pixel_is_refused_as_a_search_would(build: Build) -> None:
    (line,) = check_folder(build("one_pixel"), least_side=LeastSide(16, "a U-Net of depth 4")).problems
    assert line.startswith(
        "images too small for a U-Net of depth 4, which needs 16 pixels a side: oddval0 is 1x1,"
    )


def test_val_all_ignored_is_refused(build: Build) -> None:
    (line,) = check_folder(build("val_all_ignored")).problems
    assert line == "every pixel of the val masks is ignored (255): nothing can be compared; label some"


PROPOSED = {
    "antialias": "threshold: 127",
    "cityscapes_names": 'clips: false\nimage_suffix: "_leftImg8bit"\nmask_suffix: "_gtFine_labelIds"',
    "colour_masks": "mask_colors: {background: [0, 0, 0], class1: [0, 128, 0], class2: [128, 0, 0]}",
    "index_gap": "mask_values: {0: background, 1: class1, 3: class3}",
    "instance_ids": "instances: true",
    "jpeg_masks": "threshold: 127",
    "jpeg_to_png": "threshold: 127",
    "mask_per_instance": 'images: "*/images"\nmasks: "*/masks"\ninstances: true',
    "mask_suffixes": 'mask_suffix: "_gt"',
    "mmseg_layout": "images: img_dir\nmasks: ann_dir",
    "nested_still": "clips: false",
    "nnunet_renamed": 'image_suffix: "_0000"',
    "palette_missing": "mask_colors: {background: [0, 0, 0], class1: [0, 0, 142], class2: [220, 20, 60]}",
    "rgba_images": "in_channels: 3",
}


@pytest.mark.parametrize("name", PROPOSED)
def test_a_folder_that_fails_for_a_constant_proposes_it(name: str, build: Build) -> None:
    folder = build(name)
    proposed = propose(folder)
    assert proposed == PROPOSED[name] + "\n"
    assert not check_folder(folder).usable
    (folder / "dataset.yaml").write_text(proposed)
    assert check_folder(folder).usable


@pytest.mark.parametrize(("tag", "proposed"), [("unassalpha", "in_channels: 4\n"), ("unspecified", None)])
def test_a_band_that_is_tagged_as_opacity_is_proposed_to_be_kept(
    tag: str, proposed: str | None, build: Build
) -> None:
    folder = build("geotiff_rgbn", tag)
    assert propose(folder) == proposed
    assert check_folder(folder).usable is (proposed is None)


@pytest.mark.parametrize("name", ["one_pixel", "val_all_ignored"])
def test_nothing_is_proposed_where_no_constant_helps(name: str, build: Build) -> None:
    assert propose(build(name)) is None


@pytest.mark.parametrize("number", [6, 8, 12])
def test_few_images_leave_two_for_val_and_test(number: int, build: Build) -> None:
    folder = build("few", str(number))
    dataset = read_folder(folder)
    sizes = (len(dataset.train), len(dataset.val), len(dataset.test))
    assert sum(sizes) == number
    assert min(sizes) >= 2
    assert any(note.startswith("val has only") for note in check_folder(folder).notes)


def test_one_val_is_warned_of(build: Build) -> None:
    report = check_folder(build("one_val"))
    assert report.usable
    assert "val has only 1 image: each of them has a large influence on what is measured" in report.notes


def test_blank_tiles_are_only_noted(build: Build) -> None:
    report = check_folder(build("twins_blank"))
    assert report.usable
    assert "5 images of one colour, in several splits, have the same pixels" in report.notes


def test_real_folders_are_read_as_they_come_or_as_proposed(shared_data: Path) -> None:
    """In three layouts that their authors published."""
    for name, classes in (("usgra_nerves", 3), ("lara_coffee_leaf", 3), ("dsb2018_nuclei", 2)):
        folder = shared_data / "raw" / name
        text = propose(folder, longest_side=64)
        assert text is not None, name
        survey = survey_folder(folder, 64, declared=declared_by(text))
        assert survey.report.usable
        assert len(survey.report.classes) == classes
        assert sum(split.images for split in survey.report.splits) == len(survey.listing.images)
