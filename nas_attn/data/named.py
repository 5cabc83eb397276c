"""Data by the word that names them: a folder, data that are built in, or a reader of a package."""

from __future__ import annotations

from pathlib import Path

from nas_attn.data.built_in import BUILT_IN
from nas_attn.data.dataset import Dataset
from nas_attn.data.folder import read_folder
from nas_attn.data.readers import asked_reader
from nas_attn.errors import UsageError

_MOST_LETTERS = 80


def read_data(source: str, image_size: int, *, longest_side: int | None = None) -> Dataset:
    """The data set of a word.

    Args:
        source: a folder, ``synthetic``, ``clips``, or what a reader takes.
        image_size: H and W of images that are made up.
        longest_side: to which larger images of a folder are reduced; None leaves them.
    Raises:
        DataError: the folder cannot be used.
        UsageError: images that are made up are to be reduced.
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


def plain_name(name: str, also: str = "") -> str:
    """A name in which nothing means something to a file system, and which is not too long for one.

    Args:
        name: any.
        also: characters that may stay besides letters, digits, ``-`` and ``_``.
    """
    kept = f"-_{also}"
    return "".join(letter if letter.isalnum() or letter in kept else "_" for letter in name)[:_MOST_LETTERS]
