"""Folders of clips: which frames belong together, in which order, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nas_attn.data import card_of, check_folder, read_folder
from nas_attn.data.splitting import share_of
from nas_attn.data_card import DataCard
from nas_attn.errors import DataError

Save = Callable[[Path, np.ndarray], Path]
CLIPS = {"train": {"walk": 3, "run": 12}, "val": {"walk": 2}, "test": {"hop": 4}}


@pytest.fixture
def folder(tmp_path: Path, save: Save) -> Path:
    """Clips whose frames are numbered without leading zeros; every pixel of a frame holds its number."""
    for split, clips in CLIPS.items():
        for place, (clip, length) in enumerate(clips.items()):
            for number in range(1, length + 1):
                grey = np.full((6, 8), 40 * place + number + 20 * len(split), np.uint8)
                mask = (np.arange(48).reshape(6, 8) + number) % 2
                save(tmp_path / "images" / split / clip / f"{number}.png", grey)
                save(tmp_path / "masks" / split / clip / f"{number}.png", mask.astype(np.uint8))
    return tmp_path


def test_frames_of_a_clip_come_in_the_order_of_their_numbers(folder: Path) -> None:
    dataset = read_folder(folder)

    assert dataset.has_clips
    assert (dataset.train.clips, dataset.val.clips, dataset.test.clips) == ((12, 3), (2,), (4,))
    assert dataset.train.names[:12] == tuple(f"run/{number}" for number in range(1, 13))
    values = dataset.train.pixels[:, 0, 0, 0].tolist()
    assert values == [140 + number for number in range(1, 13)] + [100 + number for number in range(1, 4)]


def test_masks_belong_to_their_own_frames(folder: Path) -> None:
    train = read_folder(folder).train

    assert train.masks[:, 0, 0].tolist() == [number % 2 for number in [*range(1, 13), *range(1, 4)]]


def test_clips_of_one_name_in_two_splits_are_two_clips(folder: Path) -> None:
    assert read_folder(folder).val.names == ("walk/1", "walk/2")


def test_the_report_says_how_long_the_clips_are(folder: Path) -> None:
    report = check_folder(folder)

    assert report.usable
    assert report.layout == "images/ and masks/, split into train, val, test, a folder of frames for each clip"
    assert [split.clips for split in report.splits] == [(12, 3), (2,), (4,)]
    words = [" in 2 clips of 3 to 12 frames", " in 1 clip of 2 frames", " in 1 clip of 4 frames"]
    assert [split.in_clips for split in report.splits] == words


def test_the_data_card_keeps_the_clips(folder: Path) -> None:
    card = card_of(read_folder(folder))

    assert DataCard.from_dict(card.to_dict()) == card
    assert dict(card.lines())["training images"] == "15 in 2 clips of 3 to 12 frames, 1 channel: 8x6 pixels"


def test_a_clip_is_never_parted_when_splits_are_made(tmp_path: Path, save: Save) -> None:
    homes = {}
    for clip in map(str, range(40)):
        homes[clip] = "train" if share_of(clip) < 0.7 else "val" if share_of(clip) < 0.85 else "test"
        for frame in ("a", "b"):
            pixels = np.random.default_rng(int(clip)).integers(0, 255, (6, 8)) // (1 + (frame == "b"))
            save(tmp_path / "images" / "train" / clip / f"{frame}.png", pixels.astype(np.uint8))
            save(tmp_path / "masks" / "train" / clip / f"{frame}.png", (np.eye(6, 8)).astype(np.uint8))
    dataset = read_folder(tmp_path)

    for split in ("train", "val", "test"):
        names = {name.partition("/")[0] for name in getattr(dataset, split).names}
        assert names == {clip for clip, home in homes.items() if home == split}
    assert set(dataset.train.clips) == {2}


def test_the_same_frames_in_other_clips_are_other_data(folder: Path) -> None:
    before = read_folder(folder)
    for part in ("images", "masks"):
        (folder / part / "train" / "walk" / "3.png").rename(folder / part / "train" / "walk" / "0.png")
    after = read_folder(folder)

    assert after.train.names[12:] == ("walk/0", "walk/1", "walk/2")
    assert before.fingerprint != after.fingerprint


@pytest.mark.parametrize(
    ("part", "path", "line"),
    [
        ("images", "images/train/walk/2.png", "masks/train/walk/2.png: mask without image; no image is named '2'"),
        (
            "masks",
            "masks/train/walk/2.png",
            "images/train/walk/2.png: image without mask; expected masks/train/walk/2.png or the like",
        ),
    ],
)
def test_a_frame_without_its_partner_is_named(folder: Path, part: str, path: str, line: str) -> None:
    (folder / path).unlink()

    assert check_folder(folder).problems == (line,)


def leave_out(folder: Path, clip: str, number: int) -> None:
    for part in ("images", "masks"):
        (folder / part / "train" / clip / f"{number}.png").unlink()


def test_frames_that_are_missing_in_the_middle_of_a_clip_are_noted(folder: Path) -> None:
    assert not [note for note in check_folder(folder).notes if "missing" in note]

    leave_out(folder, "run", 5)
    line = "images/train/run/6.png is read as the next frame after 4.png: frames between are missing"
    assert line in check_folder(folder).notes

    leave_out(folder, "run", 1)  # a clip may begin and end where it will
    leave_out(folder, "walk", 2)  # and its only step is not a gap
    assert line in check_folder(folder).notes


def test_every_second_frame_is_no_gap(folder: Path) -> None:
    for number in range(2, 13, 2):
        leave_out(folder, "run", number)

    assert not [note for note in check_folder(folder).notes if "missing" in note]


def test_the_shortest_clip_has_a_name(folder: Path) -> None:
    dataset = read_folder(folder)

    assert (dataset.shortest_clip, dataset.shortest_clip_name) == (2, "val/walk")


def test_frames_of_several_sizes_in_a_clip_are_refused(folder: Path, save: Save) -> None:
    save(folder / "images/val/walk/2.png", np.arange(30, dtype=np.uint8).reshape(5, 6))
    save(folder / "masks/val/walk/2.png", np.eye(5, 6).astype(np.uint8))

    with pytest.raises(DataError) as refused:
        read_folder(folder)
    assert refused.value.problems == (
        "frames of one clip differ in size: images/val/walk/1.png is 8x6 and images/val/walk/2.png is 6x5 (width "
        "x height); give all of them one",
    )


def test_a_split_of_still_images_beside_splits_of_clips_is_refused(folder: Path, save: Save) -> None:
    for part in ("images", "masks"):
        (folder / part / "test" / "hop").rename(folder / part / "hop")
        (folder / part / "test").rmdir()
        (folder / part / "hop").rename(folder / part / "test")

    assert check_folder(folder).problems == (
        "images/train/run/1.png is a frame of a clip and images/test/1.png is a still image; let all splits have "
        "clips, images/train/CLIP/0001.png, or none",
    )


def test_folders_within_a_clip_are_refused(folder: Path) -> None:
    (folder / "images/train/walk/more").mkdir()

    assert check_folder(folder).problems == (
        "images/train/walk/more: is a folder, where an image file is expected",
    )
