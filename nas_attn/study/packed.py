"""The decoded images in a study's folder, which all processes of a machine share."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from nas_attn.data import Dataset
from nas_attn.errors import StudyError
from nas_attn.steps import step
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.training.evaluation import write_sets


def packed_images(dataset: Dataset, frames: int, folder: StudyFolder) -> Path:
    """The folder of the packed images; whoever comes first packs them, and the others wait.

    Args:
        dataset: the data.
        frames: T, so many consecutive frames of a clip go through the network together.
        folder: of the study.
    Raises:
        StudyError: the images cannot be written, or files of others are in their place.
    """
    try:
        return _packed(dataset, frames, folder)
    except OSError as error:
        raise StudyError(
            f"{folder.packed_images}: the decoded images cannot be written: {error.strerror}; make room for them"
        ) from None


def packed_if_writable(dataset: Dataset, frames: int, folder: StudyFolder) -> Path | None:
    """The same for readers of a study; None where its folder cannot be written, so that images stay in memory.

    Raises:
        StudyError: files of others are in their place.
    """
    try:
        return _packed(dataset, frames, folder)
    except OSError:
        return None


def _packed(dataset: Dataset, frames: int, folder: StudyFolder) -> Path:
    with step("packing the images"), FileLock(folder.path / "images.lock"):
        return write_sets(dataset, folder.packed_images, frames)
