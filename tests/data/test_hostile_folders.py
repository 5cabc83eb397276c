"""Any bytes in dataset.yaml or in an image are reported in words, and soon."""

from __future__ import annotations

import io
import itertools
import shutil
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from nas_attn.data import check_folder

DECLARATION = (
    "name: nuclei\nclasses: [background, nucleus]\nignore_index: 255\nin_channels: 3\n"
    "mask_values: {0: background, 1: nucleus}\nsplits: {train: ['a*'], val: [b], test: [c]}\n"
)
PLACES = (
    "images: {train: 'images/tr*', val: images/val, test: images/test}\n"
    "masks: {train: 'masks/tr*', val: masks/val, test: masks/test}\n"
    "mask_colors: {a: [0, 0, 0], b: [[1, 1, 1]]}\ncolor_tolerance: 3\nclips: false\ngroup: '^(a|b)'\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound data set with one more image, which is broken by each test."""
    made = tmp_path_factory.mktemp("hostile")
    for split in ("train", "val", "test"):
        for part, shape in (("images", (6, 8, 3)), ("masks", (6, 8))):
            (made / part / split).mkdir(parents=True)
            values = np.random.default_rng(len(split)).integers(0, 2, shape).astype(np.uint8)
            Image.fromarray(values).save(made / part / split / "a.png")
    return made


def reported(folder: Path) -> None:
    report = check_folder(folder)
    assert all(line.isprintable() for line in (*report.problems, *report.notes))


def changed(data: st.DataObject, content: bytes, marks: list[bytes]) -> bytes:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 8)))
        content = content[:start] + data.draw(st.sampled_from(marks) | st.binary(max_size=4)) + content[end:]
    return content


@pytest.mark.parametrize("declaration", [DECLARATION, PLACES], ids=["classes", "places"])
def test_any_change_of_a_declaration_is_reported(folder: Path, declaration: str) -> None:
    path = folder / "dataset.yaml"
    marks = [
        b"",
        b"-",
        b": ",
        b"[",
        b"]",
        b"{",
        b"}",
        b"&a ",
        b"*a",
        b"!!int ",
        b"~",
        b"\n",
        b'"',
        b"-1",
        b"1e9",
        b"999",
    ]

    @settings(max_examples=40)
    @given(data=st.data())
    def change(data: st.DataObject) -> None:
        path.write_bytes(changed(data, declaration.encode(), marks))
        reported(folder)

    try:
        change()
    finally:
        path.unlink()


@pytest.mark.timeout(60)
def test_aliases_that_grow_without_end_are_refused(folder: Path) -> None:
    """Ten lists of ten lists of ten lists ...: ten billion names, in a file of a page."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for last, name in itertools.pairwise("abcdefghij"):
        lines.append(f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]")
    path = folder / "dataset.yaml"
    path.write_text("\n".join([*lines, "classes: *j"]), encoding="utf-8")
    (problem,) = check_folder(folder).problems
    path.unlink()
    assert problem == "dataset.yaml: line 1: anchors and aliases (&a) are not read; write the value out"


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG", "GIF", "WEBP", "NPY", "NPZ"])
def test_any_change_of_an_image_is_reported(folder: Path, kind: str) -> None:
    file, values = io.BytesIO(), np.arange(144, dtype=np.uint8).reshape(6, 8, 3)
    if kind in ("NPY", "NPZ"):
        {"NPY": np.save, "NPZ": np.savez_compressed}[kind](file, values)
    else:
        Image.fromarray(values).save(file, kind)
    image = folder / "images" / "train" / f"z.{kind.lower()[:4]}"
    shutil.copy(folder / "masks" / "train" / "a.png", folder / "masks" / "train" / "z.png")

    @settings(max_examples=40)
    @given(data=st.data())
    def change(data: st.DataObject) -> None:
        image.write_bytes(changed(data, file.getvalue(), [b"", b"\x00\x00", b"\xff\xff\xff\xff"]))
        reported(folder)

    try:
        change()
    finally:
        image.unlink()
        (folder / "masks" / "train" / "z.png").unlink()


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "😀", "\u202egnp.exe", "a" * 200, "-rf", "con"], ids=repr)
def test_names_of_any_kind_are_read_or_reported(folder: Path, name: str) -> None:
    made = []
    for part in ("images", "masks"):
        path = folder / part / "train" / f"{name}.png"
        values = np.ones((6, 8, 3) if part == "images" else (6, 8), np.uint8)
        Image.fromarray(values).save(path)
        made.append(path)
    try:
        reported(folder)
    finally:
        for path in made:
            path.unlink()


@pytest.mark.parametrize("pattern", ["../outside/images/*", "/etc/*", "../*", "images/../../outside/images/x"])
def test_splits_that_lead_out_of_the_folder_name_nothing(tmp_path: Path, pattern: str) -> None:
    """Names are compared with those that were found; no path is made of them."""
    for name, stems in (("data", "abc"), ("outside", "xyz")):
        for part, shape in (("images", (6, 8, 3)), ("masks", (6, 8))):
            (tmp_path / name / part).mkdir(parents=True)
            for index, stem in enumerate(stems):
                values = np.random.default_rng(index).integers(0, 2, shape).astype(np.uint8)
                Image.fromarray(values).save(tmp_path / name / part / f"{stem}.png")
    declared = f"splits: {{train: ['{pattern}', a], val: [b], test: [c]}}\n"
    (tmp_path / "data" / "dataset.yaml").write_text(declared, encoding="utf-8")

    leaves, nothing = check_folder(tmp_path / "data").problems
    assert leaves.endswith(f"splits.train: '{pattern}' points outside the folder; give names of files only")
    assert nothing.endswith(f"splits: train: '{pattern}' names no image that has a mask")


def test_links_in_a_circle_below_the_images_end(folder: Path) -> None:
    circle = folder / "images" / "train" / "circle"
    circle.symlink_to(folder / "images", target_is_directory=True)
    try:
        reported(folder)
    finally:
        circle.unlink()


@pytest.mark.timeout(60)
def test_arrays_that_grow_without_end_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .npz whose part is larger than the limit on images, and a .npy whose header says to hold gigabytes."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    path = folder / "images" / "train" / "z.npz"
    shutil.copy(folder / "masks" / "train" / "a.png", folder / "masks" / "train" / "z.png")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (70000, 76000)})
    try:
        path.write_bytes(header.getvalue())
        (line,) = check_folder(folder).problems
        assert line.startswith("images/train/z.npz: is damaged: ")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("x.npy", "w") as member:
            member.write(header.getvalue())
            member.write(bytes(1 << 20))
        (line,) = check_folder(folder).problems
        assert line.startswith("images/train/z.npz: is larger than the limit of ")
    finally:
        path.unlink()
        (folder / "masks" / "train" / "z.png").unlink()
