"""Where images and masks seem to lie in a folder that has no images/ and masks/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from nas_attn.data.listing import ENDINGS, SPLIT_FOLDERS
from nas_attn.data.reach import is_folder, names_in

IMAGE_FOLDERS = (
    "images",
    "image",
    "imgs",
    "img",
    "img_dir",
    "imagestr",
    "jpegimages",
    "input",
    "inputs",
    "rgb",
)
MASK_FOLDERS = (
    "masks", "mask", "labels", "label", "annotations", "annotation", "ann_dir", "labelstr", "segmentationclass",
    "target", "targets", "gt", "groundtruth", "ground_truth", "segmentations", "segmentation",
)  # fmt: skip
_DEPTH = 3
_MOST_FOLDERS = 200
_LEAST_ALIKE = 3

Place = Mapping[str, object]
"""Fields ``images`` and ``masks`` of ``dataset.yaml``."""


def likely_places(folder: Path) -> Iterator[Place]:
    """Where they may be, the likeliest first: by the names that folders usually have."""
    for home in _folders(folder):
        if pair := _pair(folder, home):
            yield _with_splits(folder, home, pair)
        if found := _by_split(folder, home):
            yield found
        if found := _each_apart(folder, home):
            yield found


def class_places(folder: Path) -> Iterator[Place]:
    """A folder of masks for each class, as masks/vessel and masks/disc, that have the names of images."""
    for home in _folders(folder):
        pair = _pair(folder, home)
        if pair is None:
            continue
        images, masks = (home / part for part in pair)
        stems = _stems(folder / images)
        classes = [name for name in names_in(folder / masks) if is_folder(folder / masks / name)]
        if len(classes) < 2 or any(name.lower() in SPLIT_FOLDERS for name in classes) or not stems:
            continue
        if all(_stems(folder / masks / name) & stems for name in classes):
            places = {name: (masks / name).as_posix() for name in classes}
            yield {"images": images.as_posix(), "multi_label": True, "masks": places}


def _stems(folder: Path) -> set[str]:
    """Names of the files of a folder that may be split into folders, without their endings."""
    parts = [folder, *(folder / name for name in names_in(folder) if name.lower() in SPLIT_FOLDERS)]
    names = (Path(name) for part in parts for name in names_in(part) if not name.startswith("."))
    return {name.stem for name in names if name.suffix.lower() in ENDINGS}


def _folders(folder: Path) -> Iterator[Path]:
    """The folder and those below it, level by level."""
    level = [Path()]
    for _ in range(_DEPTH + 1):
        yield from level
        below = [home / name for home in level for name in names_in(folder / home) if not name.startswith(".")]
        level = [path for path in below[: 10 * _MOST_FOLDERS] if is_folder(folder / path)][:_MOST_FOLDERS]


def _pair(folder: Path, home: Path) -> tuple[str, str] | None:
    """A folder of images and one of masks within a folder, by their names."""
    names = {name.lower(): name for name in names_in(folder / home) if is_folder(folder / home / name)}
    images = next((names[name] for name in IMAGE_FOLDERS if name in names), None)
    masks = next((names[name] for name in MASK_FOLDERS if name in names), None)
    return (images, masks) if images and masks else None


def _with_splits(folder: Path, home: Path, pair: tuple[str, str]) -> Place:
    """The pair, and those of other splits in folders beside it, such as test/images."""
    beside = {
        SPLIT_FOLDERS[name.lower()]: (home / name, other)
        for name in names_in(folder / home)
        if name.lower() in SPLIT_FOLDERS and (other := _pair(folder, home / name))
    }
    images, masks = ((home / part).as_posix() for part in pair)
    if not beside or "train" in beside:
        return {"images": images, "masks": masks}
    return {
        "images": {"train": images} | {split: (at / of[0]).as_posix() for split, (at, of) in beside.items()},
        "masks": {"train": masks} | {split: (at / of[1]).as_posix() for split, (at, of) in beside.items()},
    }


def _by_split(folder: Path, home: Path) -> Place | None:
    """train/images, train/masks, val/images ..."""
    found = {
        SPLIT_FOLDERS[name.lower()]: (home / name, pair)
        for name in names_in(folder / home)
        if name.lower() in SPLIT_FOLDERS and (pair := _pair(folder, home / name))
    }
    if "train" not in found:
        return None
    return {
        part: {split: (at / pair[index]).as_posix() for split, (at, pair) in found.items()}
        for index, part in enumerate(("images", "masks"))
    }


def _each_apart(folder: Path, home: Path) -> Place | None:
    """A folder for each image: ID/images and ID/masks."""
    pairs = [pair for name in names_in(folder / home)[:_MOST_FOLDERS] if (pair := _pair(folder, home / name))]
    if len(pairs) < _LEAST_ALIKE or len(set(pairs)) != 1:
        return None
    images, masks = ((home / "*" / part).as_posix() for part in pairs[0])
    return {"images": images, "masks": masks}
