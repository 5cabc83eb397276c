"""The images or clips to predict, and the files to write for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nas_attn.commands import command
from nas_attn.data.declaration import YAML_NAME
from nas_attn.data.layout import ENDINGS
from nas_attn.data.listing import in_words
from nas_attn.data.problem import printable
from nas_attn.errors import DataError, UsageError, did_you_mean
from nas_attn.printable import plain_name
from nas_attn.whole_file import whole_file

_SOFTWARE = command("predict")
"""Written into every file of a prediction; only files with this mark are overwritten."""


@dataclass(frozen=True)
class Target:
    """An image and the files that a prediction writes for it: a mask, or one for each class, and an overlay."""

    image: Path
    masks: tuple[Path, ...]
    overlay: Path

    @property
    def mask(self) -> Path:
        """The first of the masks."""
        return self.masks[0]


def class_folders(classes: Sequence[str]) -> tuple[str, ...]:
    """A folder for each class, named after it; its number is added if the name is not a valid file name.

    >>> class_folders(("disc", "cup/rim"))
    ('disc', '1-cup_rim')
    """
    plain = (plain_name(given, also=" ") for given in classes)
    return tuple(
        name if name == given else f"{index}-{name}"
        for index, (name, given) in enumerate(zip(plain, classes, strict=True))
    )


def find_targets(
    named: Sequence[Path], output: Path, frames: int = 1, of_classes: Sequence[str] = ()
) -> tuple[tuple[Target, ...], ...]:
    """The images that were named and the files for their predictions, grouped by clip.

    Args:
        named: still images as files, or as a folder, whose image files are taken (not those of its subfolders).
            Clips as the folder of their frames, or several as the folder that contains theirs.
        output: folder for masks/, overlays/ and the legend; those of clips go into masks/CLIP/ and overlays/CLIP/.
        frames: T, the least number of frames that every clip must have; 1 if each image is segmented by itself.
        of_classes: the folder of each class within masks/, if each class has its own mask.
    Returns:
        each image alone, or the frames of each clip in the order of their numbers.
    Raises:
        UsageError: a path does not exist or contains no image or no clip, a clip is too short, two images would
            get the same mask, the output lies within a data set, or a file that no prediction made would be
            overwritten. All problems are named together.
    """
    problems: list[str] = []
    found: tuple[tuple[Target, ...], ...]
    if frames == 1:
        files = dict.fromkeys(file for path in named for file in _files(path, problems))
        found = tuple((_target(file, Path(f"{file.stem}.png"), output, of_classes),) for file in files)
    else:
        clips = dict.fromkeys(clip for path in named for clip in _clips(path, frames, problems))
        found = tuple(tuple(_targets(clip, output, of_classes)) for clip in clips)
    _check_targets([target for clip in found for target in clip], output, problems)
    return found


def legend_in(output: Path) -> Path:
    """The file that shows the colours of the classes."""
    return output / "legend.png"


def make_folders(output: Path, targets: Iterable[Target]) -> None:
    """Create the folders for the files of predictions.

    Raises:
        UsageError: they cannot be made.
    """
    files = (path for target in targets for path in (*target.masks, target.overlay))
    try:
        for folder in dict.fromkeys(path.parent for path in files):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{printable(output)}: no folder can be made there ({error.strerror})") from None


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG atomically, marked as ours.

    Raises:
        DataError: it cannot be written.
    """
    mark = PngInfo()
    mark.add_text("Software", _SOFTWARE)
    try:
        with whole_file(path) as part:
            image.save(part, format="PNG", pnginfo=mark)
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be written ({error.strerror or error})") from None


def _check_targets(targets: Sequence[Target], output: Path, problems: list[str]) -> None:
    """Raise the problems found so far, and those of the files that would be written.

    Raises:
        UsageError: see ``find_targets``.
    """
    if output.exists() and not output.is_dir():
        problems.append(f"{printable(output)}: is a file; give a folder for masks/ and overlays/ with -o")
    if (data := _data_set_around(output)) is not None:
        problems.append(
            f"{printable(output)}: is inside the data set {printable(data)}, where nothing is written; give a "
            "folder outside it with -o"
        )
    problems += _same_stems(targets)
    problems += [
        f"{printable(path)}: was not written by a prediction and would be overwritten; give another folder with -o"
        for path in (*(path for target in targets for path in (*target.masks, target.overlay)), legend_in(output))
        if path.exists() and not _is_ours(path)
    ]
    if problems:
        raise UsageError(problems)


def _data_set_around(output: Path) -> Path | None:
    """The data set that contains the output folder, with links resolved; None if there is none."""
    real = output.resolve()
    for folder in (real, *real.parents):
        if (folder / YAML_NAME).is_file() or all((folder / part).is_dir() for part in ("images", "masks")):
            return folder
    return None


def _images_in(folder: Path) -> list[Path]:
    """The image files of a folder, without subfolders, sorted by name."""
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
            yield f"{' and '.join(images)} would all be written to {printable(mask)}; predict them separately"


def _is_ours(path: Path) -> bool:
    try:
        if not path.is_file():  # opening a pipe would block
            return False
        with Image.open(path, formats=["PNG"]) as opened:
            return opened.info.get("Software") == _SOFTWARE
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
