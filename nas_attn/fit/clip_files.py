"""Which clips were meant, and where what is made of their frames goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nas_attn.data.listing import in_words
from nas_attn.data.problem import printable
from nas_attn.fit.image_files import Target, check_targets, images_in


def find_clips(folders: Sequence[Path], output: Path, frames: int) -> tuple[tuple[Target, ...], ...]:
    """The clips that were named, each by its folder of frames, or several by the folder above theirs.

    Args:
        folders: in each of which the frames of a clip lie, or folders with such.
        output: folder for masks/CLIP/ and overlays/CLIP/.
        frames: T, which every clip must have at least.
    Returns:
        the frames of each clip in the order of their numbers.
    Raises:
        UsageError: a path is no folder of frames, a clip is too short, two clips have one name, or a file would be
            written over that no prediction made; all such are named together.
    """
    problems: list[str] = []
    clips = [clip for path in folders for clip in _clips(path, frames, problems)]
    found = tuple(tuple(_targets(clip, output)) for clip in dict.fromkeys(clips))
    check_targets([target for targets in found for target in targets], output, problems)
    return found


def _clips(path: Path, frames: int, problems: list[str]) -> Iterator[Path]:
    if not path.is_dir():
        what = "is a single image" if path.is_file() else "no such folder"
        problems.append(
            f"{printable(path)}: {what}; this architecture looks at {frames} frames of a clip together, so give "
            "the folder of a clip"
        )
        return
    here = [path] if images_in(path) else sorted(child for child in path.iterdir() if _holds_frames(child))
    if not here:
        problems.append(f"{printable(path)}: the folder holds neither frames nor folders of frames")
    for clip in here:
        if (length := len(images_in(clip))) < frames:
            has = f"{length} frame{'' if length == 1 else 's'}"
            problems.append(f"{printable(clip)}: has {has}; clips of {frames} or more are needed")
        else:
            yield clip.resolve() if not clip.name else clip


def _holds_frames(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and bool(images_in(path))


def _targets(clip: Path, output: Path) -> Iterator[Target]:
    for frame in sorted(images_in(clip), key=lambda frame: in_words(frame.name)):
        name = Path(clip.name, f"{frame.stem}.png")
        yield Target(frame, output / "masks" / name, output / "overlays" / name)
