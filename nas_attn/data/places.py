"""Where images and masks are expected, and where they may be in a folder without images/ and masks/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from nas_attn.data.layout import ENDINGS, SPLIT_FOLDERS, Layout
from nas_attn.data.problem import first_few, printable
from nas_attn.data.reach import folders_in, is_folder, names_in

EXPECTED = (
    "expected images/train, images/val, images/test and masks/train, masks/val, masks/test, "
    "or images/ and masks/ without splits; a mask has the name of its image; the frames of a clip lie "
    "in a folder of their own: images/train/CLIP/0001.png"
)
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
_Pairs = dict[str, tuple[Path, tuple[str, str]]]
"""For each split, the folder that contains both, and the names of its folders of images and of masks."""


def likely_places(folder: Path) -> Iterator[Place]:
    """Places where they may be, the likeliest first, by usual names of folders."""
    for home in _folders(folder):
        pair, splits = _pair(folder, home), _pairs_of_splits(folder, home)
        if pair and splits and "train" not in splits:  # other splits beside it, such as test/images
            yield _split_places({"train": (home, pair)} | splits)
        elif pair:
            yield _place(home, pair)
        if "train" in splits:
            yield _split_places(splits)
        if found := _each_apart(folder, home):
            yield found


def class_places(folder: Path) -> Iterator[Place]:
    """A folder of masks for each class, such as masks/vessel and masks/disc, with the names of images."""
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


def missing_places(folder: Path, missing: list[str], layout: Layout) -> str:
    """An error message that a folder lacks places, with its content and a suggestion."""
    lacking = " and no ".join(f"{printable(part)}/" for part in missing)
    if not layout.is_usual:
        return f"{printable(folder)}: no {lacking}, where dataset.yaml says; found {_contents(folder)}"
    if not names_in(folder):
        return f"{printable(folder)}: the folder is empty; {EXPECTED}"
    nested = _nested(folder)
    hint = f"; did you mean {printable(nested)}?" if nested else ""
    return f"{printable(folder)}: no {lacking}; found {_contents(folder)}; {EXPECTED}{hint}"


def _contents(folder: Path) -> str:
    names = sorted(name + "/" * is_folder(folder / name) for name in names_in(folder) if name[0] != ".")
    return first_few(names, 6) or "only hidden files"


def _nested(folder: Path) -> Path | None:
    """A folder at most three levels down that has images/ and masks/ with image files in both."""
    level = [folder]
    for _ in range(_DEPTH):
        level = [parent / name for parent in level for name in folders_in(parent)][:_MOST_FOLDERS]
        for path in level:
            if all(_holds_images(path / part) for part in ("images", "masks")) and len(level) == 1:
                return path
    return None


def _holds_images(folder: Path) -> bool:
    """Whether a folder contains images. A folder that cannot be listed, such as those in /proc, is not
    suggested."""
    return any(Path(name).suffix.lower() in ENDINGS for name in names_in(folder))


def _stems(folder: Path) -> set[str]:
    """Names of the files of a folder that may have split folders, without their suffixes."""
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


def _pairs_of_splits(folder: Path, home: Path) -> _Pairs:
    """The pairs in folders named after splits: train/images, train/masks, val/images ..."""
    return {
        SPLIT_FOLDERS[name.lower()]: (home / name, pair)
        for name in names_in(folder / home)
        if name.lower() in SPLIT_FOLDERS and (pair := _pair(folder, home / name))
    }


def _split_places(pairs: _Pairs) -> Place:
    return {
        part: {split: (home / pair[index]).as_posix() for split, (home, pair) in pairs.items()}
        for index, part in enumerate(("images", "masks"))
    }


def _place(home: Path, pair: tuple[str, str]) -> Place:
    images, masks = ((home / part).as_posix() for part in pair)
    return {"images": images, "masks": masks}


def _each_apart(folder: Path, home: Path) -> Place | None:
    """One folder for each image: ID/images and ID/masks."""
    pairs = [pair for name in names_in(folder / home)[:_MOST_FOLDERS] if (pair := _pair(folder, home / name))]
    if len(pairs) < _LEAST_ALIKE or len(set(pairs)) != 1:
        return None
    return _place(home / "*", pairs[0])
