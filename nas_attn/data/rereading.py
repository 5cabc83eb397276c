"""Decode the images and masks of an examined folder again on each access."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from nas_attn.data.declaration import Declaration
from nas_attn.data.examine import Examined, read_mask, stamps_of
from nas_attn.data.meaning import Meaning
from nas_attn.data.overlapping import Overlapping
from nas_attn.data.picture import as_tensor, image_values, with_channels
from nas_attn.data.problem import Problem, printable
from nas_attn.data.raster import Unreadable
from nas_attn.data.shrink import shrink_image, shrink_mask
from nas_attn.errors import DataError

_LOCK = threading.Lock()
_INSIDE: list[warnings.catch_warnings[None]] = []
"""One entry for each thread inside; the first one has set the filters, which apply to the whole process."""


@dataclass(frozen=True, eq=False)
class Rereader:
    """Images as networks see them, from files that must not have changed since they were examined.

    Args:
        folder: of the data set.
        declaration: how files are read.
        longest_side: to which larger images are shrunk; None does not shrink.
        channels: C of all images.
        meaning: of the masks' values.
        examined: the images, in their order.
    """

    folder: Path
    declaration: Declaration
    longest_side: int | None
    channels: int
    meaning: Meaning | Overlapping
    examined: Sequence[Examined]

    def image(self, number: int) -> Tensor:
        """(C, H, W), uint8, or int32 for 16 bits.

        Raises:
            DataError: the file has changed.
        """
        path = self._checked(number).pair.image
        try:
            with quiet_decoders():
                values, _ = image_values(
                    self.folder / path, self.declaration.in_channels, self.declaration.image_key
                )
        except (Unreadable, OSError):
            raise _changed(path) from None
        return _in_rows(as_tensor(with_channels(shrink_image(values, self.longest_side), self.channels)))

    def mask(self, number: int) -> Tensor:
        """(H, W), class indices, or sets of classes.

        Raises:
            DataError: a file has changed.
        """
        pair = self._checked(number).pair
        found: list[Problem] = []
        with quiet_decoders():
            values, _ = read_mask(self.folder, pair, self.declaration, found)
        if values is None:
            raise _changed(pair.mask)
        return _in_rows(torch.from_numpy(self.meaning.translate(shrink_mask(values, self.longest_side))))

    def _checked(self, number: int) -> Examined:
        each = self.examined[number]
        try:
            now = stamps_of(self.folder, each.pair)
        except OSError:
            raise _changed(each.pair.image) from None
        for path, before, after in zip((each.pair.image, *each.pair.masks), each.stamps, now, strict=True):
            if before != after:
                raise _changed(path)
        return each


def _in_rows(values: Tensor) -> Tensor:
    """The same values with contiguous strides, also along an axis of length 1."""
    return values.reshape(-1).view(values.shape)


def _changed(path: Path) -> DataError:
    return DataError(f"{printable(path)}: was changed or removed while its data set was in use; start again")


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Silence warnings of decoders about files that they can read; a possible decompression bomb is an error.

    ``catch_warnings`` alone is not thread-safe: the last thread to leave would leave its filters behind.
    """
    with _LOCK:
        if not _INSIDE:
            filters = warnings.catch_warnings()
            filters.__enter__()
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
        else:
            filters = _INSIDE[0]
        _INSIDE.append(filters)
    try:
        yield
    finally:
        with _LOCK:
            _INSIDE.pop()
            if not _INSIDE:
                filters.__exit__(None, None, None)
