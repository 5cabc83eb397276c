"""Ways to get data that are neither a folder of images and masks nor built in, by the word that asks for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from nas_attn.data.dataset import Dataset
from nas_attn.reference import is_reference
from nas_attn.registry import Registry

Reader = Callable[[str], Dataset]
"""Takes what stands behind ``NAME=``, empty where nothing does; equal words give equal data in every process."""

READERS: Registry[Reader] = Registry("nas_attn.data", "data reader", "nas_attn.readers")


def reader(name: str) -> Callable[[Reader], Reader]:
    """A decorator that registers a reader, for ``--data NAME`` and ``--data NAME=PLACE``."""
    return READERS.register(name)


@dataclass(frozen=True)
class Asked:
    """Data of a reader.

    Args:
        reader: its name.
        place: what it is given: a path, or whatever it reads.
    """

    reader: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.reader}={self.place}" if self.place else self.reader

    def load(self) -> Dataset:
        """Read or make the images.

        Raises:
            RegistryError: there is no such reader.
            DataError: it refuses what it was given.
        """
        return READERS[self.reader](self.place)


def asked_reader(data: str) -> Asked | None:
    """What ``--data`` asks of a reader; None where it means something else.

    Raises:
        RegistryError: it names a user's module that cannot be used.
    """
    name, _, place = data.partition("=")
    if is_reference(name) and os.path.isdir(data):
        return None
    return Asked(name, place) if name in READERS else None
