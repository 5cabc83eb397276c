"""List the files of a folder: images, masks, and their splits."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nas_attn.data.layout import ENDINGS, FLAT, SPLIT_FOLDERS, SPLITS, Layout, has_wildcard
from nas_attn.data.places import EXPECTED, missing_places
from nas_attn.data.problem import Problem, Sort, printable
from nas_attn.data.reach import folders_in, is_file, is_folder, matches, why_closed
from nas_attn.errors import did_you_mean

_SIDECARS = (".txt", ".json", ".csv", ".xml", ".md", ".yaml", ".yml", ".ini", ".db", ".html")
_OF_THE_SYSTEM = ("Thumbs.db", "lost+found")


@dataclass(frozen=True)
class ListedFile:
    """An image or mask file.

    Args:
        split: ``train``, ``val`` or ``test``; empty if the files have no splits.
        path: relative to the folder of the data set.
        clip: name of its clip; empty for still images.
        name: by which it is paired, without its suffix.
        home: the text that a glob of folders matched; only names within it belong together; empty elsewhere.
        of_class: the class of a mask; empty for an image, or for a mask of all classes.
    """

    split: str
    path: Path
    clip: str = ""
    name: str = ""
    home: str = ""
    of_class: str = ""


@dataclass(frozen=True)
class Listing:
    """All image and mask files of a folder, sorted by path.

    Args:
        images: at the places of the layout.
        masks: likewise.
        places: of both, in words.
    """

    images: tuple[ListedFile, ...] = ()
    masks: tuple[ListedFile, ...] = ()
    places: str = "images/ and masks/"

    @property
    def layout(self) -> str:
        """The arrangement of the files, in words."""
        splits = list(dict.fromkeys(entry.split for entry in self.images))
        if splits == [FLAT]:
            return f"{self.places}, not split"
        ordered = sorted(self.images, key=lambda entry: SPLITS.index(entry.split))
        usual = self.places == Listing.places
        folders = dict.fromkeys(entry.path.parts[1] if usual else entry.split for entry in ordered)
        clips = ", a folder of frames for each clip" if self.images[0].clip else ""
        return f"{self.places}, split into {', '.join(map(printable, folders))}{clips}"


def list_folder(folder: Path, layout: Layout) -> tuple[Listing, list[Problem], list[str]]:
    """List the files of a folder, problems of their arrangement, and notes on what was left out.

    Args:
        folder: of the data set.
        layout: where images and masks are.
    """
    if closed := why_closed(folder):
        return Listing(), [Problem(Sort.LAYOUT, f"{printable(folder)}: {closed}")], []
    if not is_folder(folder):
        what = "is a file, not a folder" if is_file(folder) else "no such folder"
        return Listing(), [Problem(Sort.LAYOUT, f"{printable(folder)}: {what}; {EXPECTED}")], []
    places = [*layout.images, *(place for _, of_class in layout.mask_places for place in of_class)]
    missing = [place for _, place in places if not has_wildcard(place) and not is_folder(folder / place)]
    if missing:
        return Listing(), [Problem(Sort.LAYOUT, missing_places(folder, list(dict.fromkeys(missing)), layout))], []
    found: list[Problem] = []
    left_out: Counter[str] = Counter()
    suffixes = (layout.image_suffix, layout.mask_suffix)
    looks = [_Look(folder, layout, suffix, found, left_out) for suffix in suffixes]
    images = tuple(entry for place in layout.images for entry in looks[0].files(*place))
    masks = tuple(
        replace(entry, of_class=name)
        for name, of_class in layout.mask_places
        for place in of_class
        for entry in looks[1].files(*place)
    )
    if unreached := [problem for problem in found if problem.sort is Sort.CLOSED]:
        return Listing(), unreached, []  # what else is missing, is missing for that reason
    if not images:
        where = " and ".join(f"{place}/" if place == "images" else place for _, place in layout.images)
        found.append(Problem(Sort.LAYOUT, f"{printable(where)} holds no image ({', '.join(ENDINGS)})"))
    elif masks and (images[0].split == FLAT) != (masks[0].split == FLAT):
        split, whole = ("masks", "images") if images[0].split == FLAT else ("images", "masks")
        line = f"{split}/ is split into folders and {whole}/ is not; split both the same way, or neither"
        return Listing(images, masks), [*found, Problem(Sort.LAYOUT, line)], []
    notes = _notes(folder, left_out) if layout.is_usual else _left_out(left_out)
    return Listing(images, masks, _places(layout)), found, notes


def _places(layout: Layout) -> str:
    """``images in img_dir, masks in ann_dir``."""
    if layout.is_usual:
        return Listing.places
    images = " and ".join(dict.fromkeys(place for _, place in layout.images))
    masks = [_named(name, dict.fromkeys(place for _, place in of_class)) for name, of_class in layout.mask_places]
    return f"images in {printable(images)}, masks {printable(' and '.join(masks))}"


def _named(name: str, places: Iterable[str]) -> str:
    """``in masks``, or ``of vessel in masks/vessel``."""
    return f"{f'of {name} ' if name else ''}in {' and '.join(places)}"


def _notes(folder: Path, left_out: Counter[str]) -> list[str]:
    notes = _left_out(left_out)
    nested = [name for name in folders_in(folder) if is_folder(folder / name / "images")]
    notes += [
        f"left out: {printable(name)}/, which holds images of its own; to use it, move it to "
        f"images/{printable(name)}"
        for name in nested
    ]
    return notes


def _left_out(left_out: Counter[str]) -> list[str]:
    return [f"left out: {count} {printable(kind)}" for kind, count in sorted(left_out.items())]


@dataclass(frozen=True)
class _Look:
    """Lists the images, or the masks, of a folder.

    Args:
        folder: of the data set.
        layout: how its files are arranged.
        suffix: that names must have; None or empty for any.
        found: list to which problems are added.
        left_out: to which everything that is left out is added, in words.
    """

    folder: Path
    layout: Layout
    suffix: str | None
    found: list[Problem]
    left_out: Counter[str]

    def files(self, split: str, place: str) -> Iterator[ListedFile]:
        """The files of one place, in the order of their paths."""
        if has_wildcard(place):
            yield from self._matched(split, place)
        elif not self._is_reached(Path(place)):
            return
        elif split == FLAT:
            yield from self._part(Path(place))
        else:
            yield from self._split(split, Path(place))

    def _matched(self, split: str, pattern: str) -> Iterator[ListedFile]:
        """Files that a glob matches, with the text that its wildcards match; or the files in the folders that it
        matches."""
        for path, key in matches(self.folder, pattern):
            if not self._is_reached(path):
                continue
            if is_folder(self.folder / path):
                yield from self._files(split, self._children(path), home=key)
            else:
                yield from self._files(split, [path], name=_without_ending(key))

    def _part(self, part: Path) -> Iterator[ListedFile]:
        """The files of a folder that may be split into folders."""
        flat: list[Path] = []
        splits: dict[str, Path] = {}
        unknown: list[Path] = []
        for path in self._children(part):
            if not is_folder(self.folder / path) or path.suffix.lower() in ENDINGS:
                flat.append(path)
            elif path.name.lower() not in SPLIT_FOLDERS:
                unknown.append(path)
            elif (split := SPLIT_FOLDERS[path.name.lower()]) in splits:
                both = f"{printable(splits[split])}/ and {printable(path)}/"
                self._wrong(Sort.LAYOUT, f"{both} are both {split}; put their files into one")
            else:
                splits[split] = path
        if self.layout.clips is False and not splits:
            yield from self._stills(FLAT, part)
            return
        for path in unknown:
            near = did_you_mean(path.name.lower(), SPLIT_FOLDERS)
            self._wrong(Sort.LAYOUT, f"{printable(path)}/: unknown split folder; {near}")
        entries = list(self._files(FLAT, flat))
        if entries and splits:
            line = f"{part}/ holds {len(entries)} files beside split folders; move them into one of the folders"
            self._wrong(Sort.LAYOUT, line)
            entries = []
        yield from entries
        for split, path in splits.items():
            yield from self._split(split, path)

    def _split(self, split: str, path: Path) -> Iterator[ListedFile]:
        """The images of a split; if it has none itself, those of its folders, each of which is a clip."""
        if self.layout.clips is False:
            yield from self._stills(split, path)
            return
        children = self._children(path)
        clips = [
            child for child in children if is_folder(self.folder / child) and child.suffix.lower() not in ENDINGS
        ]
        if any(is_file(self.folder / child) and child.suffix.lower() in ENDINGS for child in children):
            clips = []
        others = [child for child in children if child not in clips]
        yield from self._files(split, others)
        for clip in clips:
            frames = sorted(self._children(clip), key=lambda frame: in_words(frame.name))
            yield from self._files(split, frames, clip=clip.name)

    def _stills(
        self, split: str, root: Path, path: Path | None = None, above: frozenset[Path] = frozenset()
    ) -> Iterator[ListedFile]:
        """The files below a folder, named by their relative paths; a folder that links back to itself is
        refused."""
        path = path or root
        real = (self.folder / path).resolve()
        if real in above:
            self._wrong(Sort.LINK, f"{printable(path)}: is a link that leads back to itself")
            return
        for child in self._children(path):
            if is_folder(self.folder / child):
                yield from self._stills(split, root, child, above | {real})
            else:
                name = child.relative_to(root).with_suffix("").as_posix()
                yield from self._files(split, [child], name=name)

    def _files(
        self, split: str, paths: list[Path], clip: str = "", name: str = "", home: str = ""
    ) -> Iterator[ListedFile]:
        for path in paths:
            ending = path.suffix.lower()
            if is_folder(self.folder / path):
                self._wrong(Sort.FILE, f"{printable(path)}: is a folder, where an image file is expected")
            elif ending in _SIDECARS:
                self.left_out[f"{ending} files"] += 1
            elif not is_file(self.folder / path):
                self._wrong(Sort.FILE, f"{printable(path)}: is not a regular file")
            elif ending not in ENDINGS:
                self._wrong(
                    Sort.FILE, f"{printable(path)}: is not one of {', '.join(ENDINGS)}; convert it or remove it"
                )
            elif (stem := self._stem(name or path.stem)) is not None:
                yield ListedFile(split, path, clip, stem, home)

    def _stem(self, name: str) -> str | None:
        """The name without the suffix; None if it does not have it."""
        if not self.suffix:
            return name
        if name.endswith(self.suffix) and name != self.suffix:
            return name.removesuffix(self.suffix)
        if self.suffix == "_0000" and re.search(r"_0\d{3}$", name):
            line = f"{printable(name)}: is a single channel; put all channels of an image into one file"
            self._wrong(Sort.CHANNELS, line)
        self.left_out[f"files without {self.suffix} at the end of their names"] += 1
        return None

    def _children(self, path: Path) -> list[Path]:
        """The entries of a folder, without hidden files."""
        try:
            names = sorted(name for name in os.listdir(self.folder / path) if not name.startswith("."))
        except OSError as error:
            self._wrong(Sort.CLOSED, f"{printable(path)}/: cannot be listed: {error.strerror}")
            return []
        return [path / name for name in names if name not in _OF_THE_SYSTEM and self._is_reached(path / name)]

    def _is_reached(self, path: Path) -> bool:
        """Whether a path leads to something. A link may leave the folder, because the folder is the user's own."""
        try:
            (self.folder / path).resolve(strict=True)
        except PermissionError as error:
            self._wrong(Sort.CLOSED, f"{printable(path)}: cannot be reached: {error.strerror}")
            return False
        except (OSError, RuntimeError):
            self._wrong(Sort.LINK, f"{printable(path)}: is a link that leads nowhere or back to itself")
            return False
        return True

    def _wrong(self, sort: Sort, line: str) -> None:
        self.found.append(Problem(sort, line))


def _without_ending(name: str) -> str:
    head, dot, ending = name.rpartition(".")
    return head if dot and f".{ending.lower()}" in ENDINGS else name


def in_words(name: str) -> list[tuple[int, str]]:
    """Sort key for the order that people expect: frame 2 comes before frame 10.

    >>> sorted(["f10", "f2", "f1"], key=in_words)
    ['f1', 'f2', 'f10']
    """
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
