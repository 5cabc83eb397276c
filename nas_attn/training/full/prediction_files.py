"""Which images or clips were meant, and where what is made of them goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from nas_attn.commands import command
from nas_attn.data.declaration import YAML_NAME
from nas_attn.data.layout import ENDINGS
from nas_attn.data.listing import in_words
from nas_attn.data.problem import printable
from nas_attn.errors import UsageError, did_you_mean
from nas_attn.printable import plain_name

SOFTWARE = command("predict")
"""Stands in every file that a prediction writes; only such files are written over."""


@dataclass(frozen=True)
class Target:
    """An image and the files that a prediction makes of it: a mask, or one for each class, and an overlay."""

    image: Path
    masks: tuple[Path, ...]
    overlay: Path

    @property
    def mask(self) -> Path:
        """The first of the masks."""
        return self.masks[0]


def class_folders(classes: Sequence[str]) -> tuple[str, ...]:
    """A folder for each class, named after it; with its number where that is not the name of a file, or no other.

    >>> class_folders(("disc", "cup/rim"))
    ('disc', '1-cup_rim')
    """
    plain = (plain_name(given, also=" ") for given in classes)
    return tuple(
        name if name == given else f"{index}-{name}"
        for index, (name, given) in enumerate(zip(plain, classes, strict=True))
    )


def find_targets(images: Sequence[Path], output: Path, of_classes: Sequence[str] = ()) -> tuple[Target, ...]:
    """The images that were named, one by one or by their folder, and where their predictions go.

    Args:
        images: files, and folders whose image files (not those of folders within) are taken.
        output: folder for masks/, overlays/ and the legend.
        of_classes: the folder of each class within masks/, where each has a mask of its own.
    Raises:
        UsageError: a path does not exist or holds no image, two images would get the same mask, or a file would
            be written over that no prediction made; all such are named together.
    """
    problems: list[str] = []
    files = list(dict.fromkeys(file for path in images for file in _files(path, problems)))
    targets = tuple(_target(file, Path(f"{file.stem}.png"), output, of_classes) for file in files)
    _check_targets(targets, output, problems)
    return targets


def find_clips(
    folders: Sequence[Path], output: Path, frames: int, of_classes: Sequence[str] = ()
) -> tuple[tuple[Target, ...], ...]:
    """The clips that were named, each by its folder of frames, or several by the folder above theirs.

    Args:
        folders: in each of which the frames of a clip lie, or folders with such.
        output: folder for masks/CLIP/ and overlays/CLIP/.
        frames: T, which every clip must have at least.
        of_classes: as for ``find_targets``.
    Returns:
        the frames of each clip in the order of their numbers.
    Raises:
        UsageError: a path is no folder of frames, a clip is too short, two clips have one name, or a file would be
            written over that no prediction made; all such are named together.
    """
    problems: list[str] = []
    clips = [clip for path in folders for clip in _clips(path, frames, problems)]
    found = tuple(tuple(_targets(clip, output, of_classes)) for clip in dict.fromkeys(clips))
    _check_targets([target for targets in found for target in targets], output, problems)
    return found


def _check_targets(targets: Sequence[Target], output: Path, problems: list[str]) -> None:
    """Raise what is wrong already, and what is wrong with the files that are to be written.

    Raises:
        UsageError: see ``find_targets``.
    """
    if output.exists() and not output.is_dir():
        problems.append(f"{printable(output)}: is a file; give a folder for masks/ and overlays/ with -o")
    if (data := _data_set_around(output)) is not None:
        problems.append(
            f"{printable(output)}: is within the data set {printable(data)}, into which nothing is written; give "
            "a folder outside with -o"
        )
    problems += _same_stems(targets)
    problems += [
        f"{printable(path)}: was not made by a prediction and would be written over; give another folder with -o"
        for path in (*(path for target in targets for path in (*target.masks, target.overlay)), legend_in(output))
        if path.exists() and not _is_ours(path)
    ]
    if problems:
        raise UsageError(problems)


def _data_set_around(output: Path) -> Path | None:
    """The folder of images and masks in which predictions would lie, links followed; None where there is none."""
    real = output.resolve()
    for folder in (real, *real.parents):
        if (folder / YAML_NAME).is_file() or all((folder / part).is_dir() for part in ("images", "masks")):
            return folder
    return None


def legend_in(output: Path) -> Path:
    """Where the colours of the classes are shown."""
    return output / "legend.png"


def _images_in(folder: Path) -> list[Path]:
    """The image files of a folder, not those of folders within, sorted by name."""
    return sorted(
        child
        for child in folder.iterdir()
        if child.is_file() and child.suffix.lower() in ENDINGS and not child.name.startswith(".")
    )


def _files(path: Path, problems: list[str]) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        found = _images_in(path)
        if not found:
            problems.append(f"{printable(path)}: the folder holds no image ({', '.join(ENDINGS)}){_hint(path)}")
        yield from found
    else:
        siblings = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        near = did_you_mean(path.name, siblings)
        problems.append(f"{printable(path)}: no such file or folder{f'; {near}' if 'mean' in near else ''}")


def _hint(folder: Path) -> str:
    for child in sorted(folder.iterdir()):
        if child.is_dir() and any(file.suffix.lower() in ENDINGS for file in child.iterdir()):
            return f"; did you mean {printable(child)}?"
    return ""


def _same_stems(targets: Sequence[Target]) -> Iterator[str]:
    by_mask = defaultdict(list)
    for target in targets:
        by_mask[target.mask].append(printable(target.image))
    for mask, images in by_mask.items():
        if len(images) > 1:
            yield f"{' and '.join(images)} would all be written to {printable(mask)}; predict them one by one"


def _is_ours(path: Path) -> bool:
    try:
        if not path.is_file():  # to open a pipe is to wait for it
            return False
        with Image.open(path, formats=["PNG"]) as opened:
            return opened.info.get("Software") == SOFTWARE
    except OSError:
        return False


def _clips(path: Path, frames: int, problems: list[str]) -> Iterator[Path]:
    if not path.is_dir():
        what = "is a single image" if path.is_file() else "no such folder"
        problems.append(
            f"{printable(path)}: {what}; this architecture looks at {frames} frames of a clip together, so give "
            "the folder of a clip"
        )
        return
    here = [path] if _images_in(path) else sorted(child for child in path.iterdir() if _holds_frames(child))
    if not here:
        problems.append(f"{printable(path)}: the folder holds neither frames nor folders of frames")
    for clip in here:
        if (length := len(_images_in(clip))) < frames:
            has = f"{length} frame{'' if length == 1 else 's'}"
            problems.append(f"{printable(clip)}: has {has}; clips of {frames} or more are needed")
        else:
            yield clip.resolve() if not clip.name else clip


def _holds_frames(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and bool(_images_in(path))


def _target(image: Path, name: Path, output: Path, of_classes: Sequence[str]) -> Target:
    masks = tuple(output / "masks" / folder / name for folder in of_classes or ("",))
    return Target(image, masks, output / "overlays" / name)


def _targets(clip: Path, output: Path, of_classes: Sequence[str]) -> Iterator[Target]:
    for frame in sorted(_images_in(clip), key=lambda frame: in_words(frame.name)):
        name = Path(clip.name, f"{frame.stem}.png")
        yield _target(frame, name, output, of_classes)
