"""What lies in a folder: which files are images, which are masks, and in which split they were put."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nas_attn.data.problem import Problem, Sort, printable
from nas_attn.data.reach import is_file, is_folder, names_in, why_closed
from nas_attn.errors import did_you_mean

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
EXPECTED = (
    "expected images/train, images/val, images/test and masks/train, masks/val, masks/test, "
    "or images/ and masks/ without splits; a mask bears its image's name; the frames of a clip lie "
    "in a folder of their own: images/train/CLIP/0001.png"
)
SPLITS = ("train", "val", "test")
FLAT = ""
_SIDECARS = (".txt", ".json", ".csv", ".xml", ".md", ".yaml", ".yml", ".ini", ".db", ".html")
_OF_THE_SYSTEM = ("Thumbs.db", "lost+found")
_MOST_FOLDERS_SEARCHED = 200


@dataclass(frozen=True)
class ListedFile:
    """An image or mask file.

    Args:
        split: ``train``, ``val`` or ``test``; empty where the files are not put into splits.
        path: from the folder of the data set.
        clip: name of the clip of which it is a frame; empty where images are still.
    """

    split: str
    path: Path
    clip: str = ""


@dataclass(frozen=True)
class Listing:
    """All image and mask files of a folder, sorted by path.

    Args:
        images: below images/.
        masks: below masks/.
    """

    images: tuple[ListedFile, ...] = ()
    masks: tuple[ListedFile, ...] = ()

    @property
    def layout(self) -> str:
        """How the files are laid out, in words."""
        splits = list(dict.fromkeys(entry.split for entry in self.images))
        if splits == [FLAT]:
            return "images/ and masks/, not split"
        folders = dict.fromkeys(e.path.parts[1] for e in sorted(self.images, key=lambda e: SPLITS.index(e.split)))
        clips = ", a folder of frames for each clip" if self.images[0].clip else ""
        return f"images/ and masks/, split into {', '.join(map(printable, folders))}{clips}"


def list_folder(folder: Path) -> tuple[Listing, list[Problem], list[str]]:
    """The files of a folder, what is wrong with how they lie, and notes on what was left out."""
    if closed := why_closed(folder):
        return Listing(), [Problem(Sort.LAYOUT, f"{printable(folder)}: {closed}")], []
    if not is_folder(folder):
        what = "is a file, not a folder" if is_file(folder) else "no such folder"
        return Listing(), [Problem(Sort.LAYOUT, f"{printable(folder)}: {what}; {EXPECTED}")], []
    missing = [part for part in ("images", "masks") if not is_folder(folder / part)]
    if missing:
        return Listing(), [Problem(Sort.LAYOUT, _missing(folder, missing))], []
    found: list[Problem] = []
    left_out: Counter[str] = Counter()
    images = tuple(_part(folder, "images", found, left_out))
    masks = tuple(_part(folder, "masks", found, left_out))
    if unreached := [problem for problem in found if problem.sort is Sort.CLOSED]:
        return Listing(), unreached, []  # what else is missing, is missing for that reason
    if not images:
        found.append(Problem(Sort.LAYOUT, f"images/ holds no image ({', '.join(ENDINGS)})"))
    elif masks and (images[0].split == FLAT) != (masks[0].split == FLAT):
        split, whole = ("masks", "images") if images[0].split == FLAT else ("images", "masks")
        line = f"{split}/ is split into folders and {whole}/ is not; split both the same way, or neither"
        return Listing(images, masks), [*found, Problem(Sort.LAYOUT, line)], []
    return Listing(images, masks), found, _notes(folder, left_out)


def _notes(folder: Path, left_out: Counter[str]) -> list[str]:
    notes = [f"left out: {count} {printable(ending)} files" for ending, count in sorted(left_out.items())]
    nested = [name for name in _folders(folder) if is_folder(folder / name / "images")]
    notes += [
        f"left out: {printable(name)}/, which holds images of its own; its place would be images/{printable(name)}"
        for name in nested
    ]
    return notes


def _part(folder: Path, part: str, found: list[Problem], left_out: Counter[str]) -> Iterator[ListedFile]:
    if not _is_inside(folder, Path(part), found):
        return
    flat: list[Path] = []
    splits: dict[str, Path] = {}
    for path in _children(folder, Path(part), found):
        if not is_folder(folder / path) or path.suffix.lower() in ENDINGS:
            flat.append(path)
        elif path.name.lower() not in SPLIT_FOLDERS:
            near = did_you_mean(path.name.lower(), SPLIT_FOLDERS)
            found.append(Problem(Sort.LAYOUT, f"{printable(path)}/: unknown split folder; {near}"))
        elif (split := SPLIT_FOLDERS[path.name.lower()]) in splits:
            line = f"{printable(splits[split])}/ and {printable(path)}/ are both {split}; put their files into one"
            found.append(Problem(Sort.LAYOUT, line))
        else:
            splits[split] = path
    entries = list(_files(folder, FLAT, flat, found, left_out))
    if entries and splits:
        line = f"{part}/ holds {len(entries)} files beside split folders; move them into one of the folders"
        found.append(Problem(Sort.LAYOUT, line))
        entries = []
    yield from entries
    for split, path in splits.items():
        yield from _split(folder, split, path, found, left_out)


def _split(
    folder: Path, split: str, path: Path, found: list[Problem], left_out: Counter[str]
) -> Iterator[ListedFile]:
    """The images of a split; where it holds none itself, those of its folders, each of which is a clip."""
    children = _children(folder, path, found)
    clips = [child for child in children if is_folder(folder / child) and child.suffix.lower() not in ENDINGS]
    if any(is_file(folder / child) and child.suffix.lower() in ENDINGS for child in children):
        clips = []
    others = [child for child in children if child not in clips]
    yield from _files(folder, split, others, found, left_out)
    for clip in clips:
        frames = sorted(_children(folder, clip, found), key=lambda frame: in_words(frame.name))
        yield from _files(folder, split, frames, found, left_out, clip.name)


def in_words(name: str) -> list[tuple[int, str]]:
    """By which names are put into the order that people expect: frame 2 comes before frame 10.

    >>> sorted(["f10", "f2", "f1"], key=in_words)
    ['f1', 'f2', 'f10']
    """
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _files(
    folder: Path, split: str, paths: list[Path], found: list[Problem], left_out: Counter[str], clip: str = ""
) -> Iterator[ListedFile]:
    for path in paths:
        ending = path.suffix.lower()
        if is_folder(folder / path):
            line = f"{printable(path)}: is a folder, where an image file is expected"
            found.append(Problem(Sort.FILE, line))
        elif ending in _SIDECARS:
            left_out[ending] += 1
        elif not is_file(folder / path):
            found.append(Problem(Sort.FILE, f"{printable(path)}: is no regular file"))
        elif ending not in ENDINGS:
            line = f"{printable(path)}: is none of {', '.join(ENDINGS)}; convert it or take it away"
            found.append(Problem(Sort.FILE, line))
        else:
            yield ListedFile(split, path, clip)


def _children(folder: Path, path: Path, found: list[Problem]) -> list[Path]:
    """What lies directly below a path, hidden files and whatever is linked from elsewhere left out."""
    try:
        names = sorted(name for name in os.listdir(folder / path) if not name.startswith("."))
    except OSError as error:
        found.append(Problem(Sort.CLOSED, f"{printable(path)}/: cannot be listed: {error.strerror}"))
        return []
    return [path / name for name in names if name not in _OF_THE_SYSTEM and _is_inside(folder, path / name, found)]


def _is_inside(folder: Path, path: Path, found: list[Problem]) -> bool:
    try:
        inside = (folder / path).resolve(strict=True).is_relative_to(folder.resolve())
    except PermissionError as error:
        found.append(Problem(Sort.CLOSED, f"{printable(path)}: cannot be reached: {error.strerror}"))
        return False
    except (OSError, RuntimeError):
        found.append(Problem(Sort.LINK, f"{printable(path)}: is a link that leads nowhere or in a circle"))
        return False
    if not inside:
        line = f"{printable(path)}: is a link that leaves the folder; copy there what it points to"
        found.append(Problem(Sort.LINK, line))
    return inside


def _missing(folder: Path, missing: list[str]) -> str:
    lacking = " and no ".join(f"{part}/" for part in missing)
    if not names_in(folder):
        return f"{printable(folder)}: the folder is empty; {EXPECTED}"
    nested = _nested(folder)
    hint = f"; did you mean {printable(nested)}?" if nested else ""
    return f"{printable(folder)}: no {lacking}; found {_contents(folder)}; {EXPECTED}{hint}"


def _contents(folder: Path) -> str:
    names = sorted(name + "/" * is_folder(folder / name) for name in names_in(folder) if name[0] != ".")
    listed = ", ".join(map(printable, names[:6])) or "only hidden files"
    return f"{listed} and {len(names) - 6} more" if len(names) > 6 else listed


def _nested(folder: Path) -> Path | None:
    """A folder at most three levels down that has images/ and masks/ with image files in both."""
    level = [folder]
    for _ in range(3):
        level = [parent / name for parent in level for name in _folders(parent)][:_MOST_FOLDERS_SEARCHED]
        for path in level:
            if all(_holds_images(path / part) for part in ("images", "masks")) and len(level) == 1:
                return path
    return None


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _holds_images(folder: Path) -> bool:
    """Whether it does; a folder that may not be looked into, such as those in /proc, is no suggestion."""
    return any(Path(name).suffix.lower() in ENDINGS for name in names_in(folder))
