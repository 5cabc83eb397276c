"""Which data a search uses, as a value that any worker can turn into tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas_attn.data import BUILT_IN, Dataset, read_folder
from nas_attn.data.readers import Asked


@dataclass(frozen=True)
class DataSource:
    """A folder of images and masks, a built-in task, or what a reader gives.

    Args:
        folder: where the images are; None is the built-in task.
        longest_side: larger images of a folder are shrunk to it, in pixels; None leaves them as they are.
        image_size: H and W of the synthetic images, in pixels.
        n_train: number of synthetic training images, or clips.
        n_val: number of synthetic validation images, or clips, and of those for the test.
        task: which built-in task.
        asked: of a reader; then nothing else counts.
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
        """What asks for it on the command line."""
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
