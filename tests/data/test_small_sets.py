"""Sets without splits that are small, hold the same pixels twice, or hold groups that belong together."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from nas_attn.data import check_folder, read_folder
from nas_attn.data.declaration import Declaration
from nas_attn.data.layout import Layout
from nas_attn.data.pairing import ImagePair
from nas_attn.data.splitting import share_of, split_pairs

MASK = (np.arange(48).reshape(6, 8) % 2).astype(np.uint8)


def pairs_of(names: list[str]) -> list[ImagePair]:
    return [ImagePair("", name, Path("images", name), Path("masks", name)) for name in names]


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=4), min_size=6, max_size=40, unique=True))
def test_every_split_has_two_images_and_large_ones_are_where_the_hash_alone_puts_them(names: list[str]) -> None:
    placed, problems, _ = split_pairs(pairs_of(names), {""}, Declaration())
    assert not problems
    home = {pair.name: pair.split for pair in placed}
    counts = [list(home.values()).count(split) for split in ("train", "val", "test")]
    assert min(counts) >= 2
    by_hash = {n: "train" if share_of(n) < 0.7 else "val" if share_of(n) < 0.85 else "test" for n in names}
    if min(list(by_hash.values()).count(split) for split in ("train", "val", "test")) >= 2:
        assert home == by_hash


def test_what_lies_nearest_by_its_hash_is_taken() -> None:
    names = sorted((f"n{number}" for number in range(300)), key=share_of)
    low = [name for name in names if share_of(name) < 0.7][-6:]
    placed, _, _ = split_pairs(pairs_of(low), {""}, Declaration())
    home = {pair.name: pair.split for pair in placed}
    assert [home[name] for name in low[:2]] == ["train", "train"]
    assert sorted(home[name] for name in low[2:]) == ["test", "test", "val", "val"]


def test_groups_stay_together() -> None:
    names = [f"p{patient}_{image}" for patient in range(12) for image in range(4)]
    declaration = Declaration(layout=Layout(group="^(p[0-9]+)_"))
    placed, problems, _ = split_pairs(pairs_of(names), {""}, declaration)
    assert not problems
    homes = {(pair.name.split("_")[0], pair.split) for pair in placed}
    assert len(homes) == 12
    assert {split for _, split in homes} == {"train", "val", "test"}


def test_a_group_in_two_split_folders_is_refused_and_a_pattern_that_fits_nothing_too(make_folder) -> None:
    folder = make_folder()
    (folder / "dataset.yaml").write_text("group: '^(a)'\n")
    (line,) = check_folder(folder).problems
    assert line.startswith("dataset.yaml: line 1: group: 'a' is in train and in val and in test; put all of it")
    (folder / "dataset.yaml").write_text("group: '^patient'\n")
    (line,) = check_folder(folder).problems
    assert line == "dataset.yaml: line 1: group: fits no name, such as a"


@pytest.fixture
def flat(tmp_path: Path, save) -> Path:
    random = np.random.default_rng(0)
    for number in range(30):
        save(tmp_path / f"images/n{number}.png", random.integers(0, 256, (6, 8, 3)).astype(np.uint8))
        save(tmp_path / f"masks/n{number}.png", MASK)
    return tmp_path


def test_images_with_the_same_pixels_go_into_the_same_split(flat: Path, save) -> None:
    before = read_folder(flat)
    image = before.train.image(0).numpy().transpose(1, 2, 0)
    twin = before.val.names[0]
    save(flat / f"images/{twin}.png", image)
    dataset = read_folder(flat)
    assert twin in dataset.train.names
    assert twin not in dataset.val.names
    assert "1 images moved to the split of another with the same pixels" in check_folder(flat).notes
    assert set(before.test.names) == set(dataset.test.names)


def test_a_split_that_would_lose_all_its_images_is_told(flat: Path, save) -> None:
    before = read_folder(flat)
    image = before.train.image(0).numpy().transpose(1, 2, 0)
    for name in before.val.names:
        save(flat / f"images/{name}.png", image)
    assert "all images of val have the same pixels as others; give more that differ" in check_folder(flat).problems


def test_no_image_is_moved_out_of_its_group(flat: Path, save) -> None:
    before = read_folder(flat)
    image = before.train.image(0).numpy().transpose(1, 2, 0)
    save(flat / f"images/{before.val.names[0]}.png", image)
    (flat / "dataset.yaml").write_text("group: '^n[0-9]+'\n")
    (line,) = check_folder(flat).problems
    assert "the same pixels in different splits; keep one of them" in line


def test_no_frame_is_moved_out_of_its_clip(tmp_path: Path, save) -> None:
    random = np.random.default_rng(0)
    for clip in range(12):
        for frame in range(3):
            values = random.integers(0, 256, (6, 8, 3)).astype(np.uint8)
            save(tmp_path / f"images/train/c{clip}/{frame}.png", values)
            save(tmp_path / f"masks/train/c{clip}/{frame}.png", MASK)
    before = read_folder(tmp_path)
    image = before.train.image(0).numpy().transpose(1, 2, 0)
    save(tmp_path / f"images/train/{before.val.names[0]}.png", image)
    (line,) = check_folder(tmp_path).problems
    assert "the same pixels in different splits; keep one of them" in line
