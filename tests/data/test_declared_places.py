"""What ``dataset.yaml`` says of where files are and how they are read, in the forms that the shared cases lack."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_attn.data import check_folder, read_folder
from nas_attn.data.reach import matches

MASK = (np.arange(48).reshape(6, 8) % 2).astype(np.uint8)


def declared(folder: Path, text: str) -> Path:
    (folder / "dataset.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("images: ../other", "'../other' must be a way from the folder of dataset.yaml"),
        ("images: /etc", "'/etc' must be a way from the folder of dataset.yaml"),
        ("masks: {training: x}", "'training' is not a split; splits are train, val, test"),
        ("masks: []", "must be a folder, as images/train, or a glob"),
        ("images: '*a*b*c*d*e'", "has more than 4 '*' in one name"),
        ("images: 'x[z-a]'", "has a range of letters that is none"),
        ("images: nowhere", "no nowhere/, where dataset.yaml says; found dataset.yaml, images/, masks/"),
        ("images: 'no/*.png'", "no/*.png holds no image"),
        ("mask_suffix: a/b", "'a/b' must be a text, as _gt"),
        ("threshold: -1", "'-1' must be a number from 0 to 65534"),
        ("threshold: 1\nclasses: [a, b, c]", "threshold: gives two classes, and classes names 3"),
        ("threshold: 1\ninstances: true", "instances: threshold already says how masks are read"),
        ("instances: maybe", "'maybe' must be true or false"),
        ("color_tolerance: 3", "color_tolerance: needs mask_colors, which it widens"),
        ("mask_colors: {a: [0, 0], b: [1, 1, 1]}", "the colour ['0', '0'] of 'a' must be three numbers"),
        ("mask_colors: {a: [0, 0, 0], b: [0, 0, 0]}", "gives the colour [0, 0, 0] twice"),
        ("mask_colors: {a: [0, 0, 0]}", "1 names; from 2 to 254 are possible"),
        ("classes: [a, b]\nmask_colors: {a: [0, 0, 0], bb: [1, 1, 1]}", "unknown class 'bb'; did you mean 'b'?"),
        ("group: '('", "must be a regular expression"),
    ],
)
def test_what_is_declared_wrongly_is_one_line_that_says_what_is_right(make_folder, text: str, line: str) -> None:
    problems = check_folder(declared(make_folder(), text)).problems
    assert sum(line in problem for problem in problems) == 1, problems


def test_places_may_differ_by_split_and_be_the_same_folder_with_suffixes(make_folder, save) -> None:
    folder = make_folder()
    save(folder / "more/x_img.png", np.zeros((6, 8, 3), np.uint8))
    save(folder / "more/x_gt.png", MASK)
    text = "images: {train: more, val: images/val, test: images/test}\n"
    text += "masks: {train: more, val: masks/val, test: masks/test}\nimage_suffix: _img\nmask_suffix: _gt\n"
    assert "there is no image with a mask in val" in check_folder(declared(folder, text)).problems
    text = "images: {train: 'more/*_img.png', val: images/val, test: images/test}\n"
    text += "masks: {train: 'more/*_gt.png', val: masks/val, test: masks/test}\n"
    dataset = read_folder(declared(folder, text))
    assert dataset.train.names == ("x",)
    assert dataset.val.names == ("a", "b")


def test_one_npz_holds_image_and_mask(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        (tmp_path / "data" / split).mkdir(parents=True)
        image = random.integers(0, 256, (3, 6, 8)).astype(np.uint8)
        np.savez(tmp_path / "data" / split / "a.npz", x=image, y=MASK.astype(np.int64))
    declared(tmp_path, "images: data\nimage_key: x\nmask_key: y\n")
    dataset = read_folder(tmp_path)
    assert np.array_equal(dataset.test.image(0).numpy(), image)
    assert np.array_equal(dataset.test.mask(0).numpy(), MASK)
    declared(tmp_path, "images: data\nimage_key: x\nmask_key: z\n")
    assert "data/train/a.npz: has no array 'z'; it holds x, y" in check_folder(tmp_path).problems


def test_a_lossless_webp_is_a_mask_and_a_lossy_one_none(make_folder) -> None:
    folder = make_folder()
    path = folder / "masks/val/a.webp"
    (folder / "masks/val/a.png").unlink()
    Image.fromarray(np.dstack([MASK] * 3)).save(path, lossless=True)
    assert np.array_equal(read_folder(folder).val.mask(0).numpy(), MASK)
    Image.fromarray(np.dstack([MASK] * 3)).save(path, quality=80)
    (line,) = check_folder(folder).problems
    assert line.startswith("masks/val/a.webp: is compressed with loss")


def test_a_film_is_no_image(make_folder) -> None:
    folder = make_folder()
    frames = [Image.fromarray(np.full((6, 8), value, np.uint8)) for value in (0, 200)]
    (folder / "images/val/a.png").unlink()
    frames[0].save(folder / "images/val/a.gif", save_all=True, append_images=frames[1:])
    assert "images/val/a.gif: holds 2 pictures; save one in a file" in check_folder(folder).problems


def test_colours_are_read_within_a_tolerance_and_to_the_nearest(make_folder) -> None:
    folder = make_folder(
        masks={"val/a": np.where(MASK[..., None], [[[250, 3, 2]]], [[[4, 0, 1]]]).astype(np.uint8)}
    )
    colours = "mask_colors: {background: [0, 0, 0], plant: [[255, 0, 0], [1, 1, 1]]}\n"
    problems = check_folder(declared(folder, colours)).problems
    assert "masks/val/a.png: has colours that mask_colors lacks: (4, 0, 1), (250, 3, 2)" in problems[0]
    dataset = read_folder(declared(folder, f"{colours}color_tolerance: 5\n"))
    assert np.array_equal(dataset.val.mask(0).numpy(), np.where(MASK, 1, 1))  # (4, 0, 1) is nearer to (1, 1, 1)
    assert np.array_equal(dataset.train.mask(0).numpy(), MASK)


def test_an_ignored_colour_is_ignored(make_folder) -> None:
    white = np.where(MASK[..., None], [[[255, 255, 255]]], [[[0, 0, 0]]]).astype(np.uint8)
    colours = "mask_colors: {background: [0, 0, 0], plant: [1, 1, 1], ignored: [255, 255, 255]}\n"
    dataset = read_folder(declared(make_folder(masks={"val/a": white}), colours))
    assert np.array_equal(dataset.val.mask(0).numpy(), np.where(MASK, 255, 0))
    assert dataset.classes == ("background", "plant")


def test_masks_named_after_an_image_become_one(make_folder, save) -> None:
    folder = make_folder()
    (folder / "masks/val/a.png").unlink()
    for number in range(3):
        part = np.zeros((6, 8), np.uint8)
        part[number] = 255
        save(folder / f"masks/val/a_{number}.png", part)
    dataset = read_folder(declared(folder, "instances: true\n"))
    assert np.array_equal(dataset.val.mask(0).numpy(), np.repeat([1, 1, 1, 0, 0, 0], 8).reshape(6, 8))


def test_channels_in_files_of_their_own_are_refused(make_folder, save) -> None:
    folder = make_folder()
    for part, name in (("imagesTr", "x_0000"), ("imagesTr", "x_0001"), ("labelsTr", "x")):
        save(folder / part / f"{name}.png", MASK)
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "cell": 1}}))
    line = "x_0001: is a single channel; put all channels of an image into one file"
    assert line in check_folder(folder).problems


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", {"ab": "ab"}),
        ("*/m", {"ab/m": "ab"}),
        ("**/*.png", {"ab/m/x1.png": "ab/m/x1", "ab/m/x2.png": "ab/m/x2"}),
        ("ab/m/x[!1].png", {"ab/m/x2.png": "2"}),
        ("ab/m/x?.png", {"ab/m/x1.png": "1", "ab/m/x2.png": "2"}),
    ],
)
def test_a_glob_finds_what_pathlib_finds_and_what_its_wildcards_stand_for(
    tmp_path: Path, pattern: str, found: dict[str, str]
) -> None:
    (tmp_path / "ab/m").mkdir(parents=True)
    for name in ("x1", "x2"):
        (tmp_path / f"ab/m/{name}.png").write_bytes(b"")
    (tmp_path / "ab/up").symlink_to(tmp_path / "ab")
    kept = {path.as_posix(): key for path, key in matches(tmp_path, pattern)}
    assert kept == found
    by_pathlib = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob(pattern)}
    assert {path for path in by_pathlib if "up" not in path} == set(found)
