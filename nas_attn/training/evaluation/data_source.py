"""The data of a search, and the packed sets of images that an evaluation uses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from nas_attn.data import BUILT_IN, Dataset, read_folder
from nas_attn.data.folds import parted
from nas_attn.data.readers import Asked
from nas_attn.errors import StudyError
from nas_attn.own_folder import own_folder, remove_from
from nas_attn.training import DeviceImages, broken_seal, pack_images, read_mapped, write_mapped
from nas_attn.training.images import room_for_images

_PACKED = re.compile(r"[0-9a-f]{16}(-\d+)?", re.ASCII)
"""Names of the folders that ``write_sets`` makes."""


@dataclass(frozen=True)
class DataSource:
    """A folder of images and masks, a built-in task, or a reader's data: a value that any worker can load.

    Args:
        folder: where the images are; None is the built-in task.
        longest_side: larger images of a folder are shrunk to this size, in pixels; None keeps their size.
        image_size: H and W of the synthetic images, in pixels.
        n_train: number of synthetic training images, or clips.
        n_val: number of synthetic validation images, or clips, and of test images.
        task: which built-in task.
        asked: the reader's data to load; if given, all other arguments are ignored.
    """

    folder: str | None = None
    longest_side: int | None = None
    image_size: int = 64
    n_train: int = 256
    n_val: int = 64
    task: str = "synthetic"
    asked: Asked | None = None

    @property
    def word(self) -> str:
        """The command-line argument that names this source."""
        return str(self.asked) if self.asked else self.folder or self.task

    def load(self) -> Dataset:
        """Read or make the images; the same source gives the same data.

        Raises:
            DataError: the folder cannot be used as it is; all problems are named together.
        """
        if self.asked is not None:
            return self.asked.load()
        if self.folder is None:
            make = BUILT_IN[self.task]
            return make(image_size=self.image_size, n_train=self.n_train, n_val=self.n_val, n_test=self.n_val)
        return read_folder(Path(self.folder), longest_side=self.longest_side)


@dataclass(frozen=True, eq=False)
class PackedSets:
    """The images that a run is trained on, and those that it is scored on."""

    train: DeviceImages
    val: DeviceImages

    def in_fold(self, folds: Sequence[int], fold: int) -> PackedSets:
        """The sets for one fold: all images outside the fold for training, the fold for validation.

        Args:
            folds: the fold of each image or clip, those of the training set first.
            fold: the fold that is held out.
        """
        pool = self.train.and_then(self.val)
        train, val = parted(folds, fold)
        return PackedSets(pool.chosen(train), pool.chosen(val))

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> PackedSets:
        """The same images, normalised with another mean and standard deviation per channel, in pixel units."""
        means, stds = (torch.tensor(values, device=self.train.device) for values in (mean, std))
        return PackedSets(*(replace(one, mean=means, std=stds) for one in (self.train, self.val)))


def pack_sets(dataset: Dataset, device: torch.device, frames: int = 1) -> PackedSets:
    """The sets of a data set, each on the device if it has room for the set, otherwise on the CPU.

    Args:
        dataset: the data.
        device: where batches are wanted.
        frames: T, the number of consecutive frames of a clip that go through the network together.
    """
    return PackedSets(
        pack_images(dataset.train, dataset.mean, dataset.std, device, frames),
        pack_images(dataset.val, dataset.mean, dataset.std, device, frames),
    )


def write_sets(dataset: Dataset, folder: Path, frames: int = 1) -> Path:
    """Pack the sets into files below a folder, unless they are there undamaged; remove those of other data.

    Args:
        dataset: the data.
        folder: for packed sets only; it is created and marked if it does not exist. A folder in it is removed only
            if the mark, the name and the resolved path say that it was packed here.
        frames: as for ``pack_sets``.
    Returns:
        the folder to pass to ``read_sets``.
    Raises:
        StudyError: the folder contains other files, or damaged ones in a place where nothing is deleted.
        OSError: the files cannot be written.
    """
    own_folder(folder)
    packed = folder / f"{dataset.fingerprint[:16]}{f'-{frames}' if frames > 1 else ''}"
    if not any(broken_seal(packed / name) for name in ("train", "val")):
        return packed
    for path in list(folder.iterdir()):
        if _PACKED.fullmatch(path.name):
            remove_from(folder, path.name, home=folder.parent)
    if packed.is_symlink() or any((packed / name).exists() for name in ("train", "val")):
        raise StudyError(
            f"{packed}: does not hold what was written, and is not deleted from here; delete it by hand"
        )
    packed.mkdir(exist_ok=True)  # it still exists if another worker has just written into it
    write_mapped(dataset.train, dataset.mean, dataset.std, packed / "train", frames)
    write_mapped(dataset.val, dataset.mean, dataset.std, packed / "val", frames)
    return packed


def read_sets(folder: Path, device: torch.device) -> PackedSets:
    """The sets that ``write_sets`` has packed; on a CPU all processes share one copy in memory."""
    train, val = (
        read_mapped(folder / name, device, most_bytes=room_for_images(device)) for name in ("train", "val")
    )
    return PackedSets(train, val)
