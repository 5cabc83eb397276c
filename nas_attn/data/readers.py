"""Data by name: a folder, a built-in task, or data of a registered reader."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nas_attn.data.dataset import Dataset
from nas_attn.data.folder import read_folder
from nas_attn.data.smears import smears
from nas_attn.data.synthetic import synthetic, synthetic_null
from nas_attn.data.synthetic_clips import synthetic_clips
from nas_attn.errors import UsageError
from nas_attn.reference import is_reference
from nas_attn.registry import Registry

Reader = Callable[[str], Dataset]
"""Takes the text after ``NAME=``, empty if there is none. Equal texts must give equal data in every process."""

READERS: Registry[Reader] = Registry("nas_attn.data", "data reader", "nas_attn.readers")

BUILT_IN: Mapping[str, Callable[..., Dataset]] = {
    "synthetic": synthetic,
    "synthetic-null": synthetic_null,
    "smears": smears,
    "clips": synthetic_clips,
}
"""All take ``image_size``, ``seed``, ``n_train``, ``n_val`` and ``n_test``."""


def read_data(source: str, image_size: int, *, longest_side: int | None = None) -> Dataset:
    """The data set of a name.

    Args:
        source: a folder, ``synthetic``, ``clips``, or a reader's data.
        image_size: H and W of synthetic images.
        longest_side: to which larger images of a folder are shrunk; None leaves them as they are.
    Raises:
        DataError: the folder cannot be used.
        UsageError: synthetic images cannot be shrunk.
    """
    if asked := asked_reader(source):
        return asked.load()
    if source not in BUILT_IN:
        return read_folder(Path(source), longest_side=longest_side)
    if longest_side is not None:
        raise UsageError(
            "--longest-side is for folders; synthetic images are made in the architecture's image_size"
        )
    return BUILT_IN[source](image_size=image_size)


def asked_reader(data: str) -> Asked | None:
    """The reader's data that ``--data`` names; None if it names something else.

    Raises:
        RegistryError: it names a user's module that cannot be used.
    """
    name, _, place = data.partition("=")
    if is_reference(name) and os.path.isdir(data):
        return None
    return Asked(name, place) if name in READERS else None


@dataclass(frozen=True)
class Asked:
    """Data of a reader.

    Args:
        reader: its name.
        place: its argument: a path, or whatever it reads.
    """

    reader: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.reader}={self.place}" if self.place else self.reader

    def load(self) -> Dataset:
        """Read or make the images.

        Raises:
            RegistryError: there is no such reader.
            DataError: the reader refuses its argument.
        """
        return READERS[self.reader](self.place)


def reader(name: str) -> Callable[[Reader], Reader]:
    """Decorator that registers a reader for ``--data NAME`` and ``--data NAME=PLACE``."""
    return READERS.register(name)
