"""A packed set in files that the workers of a machine share: decoded once, held in memory once."""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from nas_attn.data.on_demand import in_turn
from nas_attn.training.images import DeviceImages, home_of
from nas_attn.training.seal import check_seal, seal
from nas_attn.whole_file import whole_file

if TYPE_CHECKING:
    from nas_attn.data import LabelledImages

_PIXELS, _MASKS, _FACTS = "pixels.npy", "masks.npy", "facts.json"

_MOST_BYTES = 2**28


def write_mapped(
    images: LabelledImages, mean: Sequence[float], std: Sequence[float], folder: Path, frames: int = 1
) -> None:
    """Write a set into a folder, image by image; the folder appears complete or not at all.

    Args:
        images: the set.
        mean: per channel, in pixel units, for normalising the images.
        std: likewise.
        folder: must not exist; its parent must.
        frames: T, the number of consecutive frames of a clip that go through the network together.
    """
    facts: dict[str, object] = {"heights": images.heights, "widths": images.widths}
    facts |= {"mean": torch.tensor(mean).tolist(), "std": torch.tensor(std).tolist()}
    facts |= {"clips": images.clips, "frames": frames, "multi_label": images.multi_label}
    with whole_file(folder) as part:
        part.mkdir()
        _write_pixels(images, part)
        (part / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        seal(part)


def _write_pixels(images: LabelledImages, folder: Path) -> None:
    number = sum(height * width for height, width in zip(images.heights, images.widths, strict=True))
    with (folder / _PIXELS).open("wb") as pixels, (folder / _MASKS).open("wb") as masks:
        for place, (image, mask) in enumerate(in_turn(lambda n: (images.image(n), images.mask(n)), len(images))):
            laid = image.permute(1, 2, 0).contiguous().numpy()
            if place == 0:
                _write_header(pixels, (number, images.channels), laid.dtype)
                _write_header(masks, (number,), mask.numpy().dtype)
            pixels.write(laid.data)
            masks.write(mask.contiguous().numpy().data)


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Write the header of a ``.npy`` file; the values follow it, row by row."""
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)


def read_mapped(folder: Path, device: torch.device, *, most_bytes: int | None = None) -> DeviceImages:
    """The set in a folder; if it is kept on the CPU, its pixels stay in the files, mapped into memory.

    Args:
        folder: written by ``write_mapped``.
        device: where batches are wanted.
        most_bytes: a set larger than this is mapped instead of copied to the device; None sets no limit.
    Raises:
        MachineError: the files are not as they were written.
    """
    check_seal(folder)
    pixels, pixel_map = _map(folder / _PIXELS)
    masks, mask_map = _map(folder / _MASKS)
    home = home_of(pixels, masks, device, most_bytes)
    facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    return DeviceImages(
        pixels=pixels.to(home),
        masks=masks.to(home),
        heights=torch.tensor(facts["heights"], device=home),
        widths=torch.tensor(facts["widths"], device=home),
        mean=torch.tensor(facts["mean"], device=device),
        std=torch.tensor(facts["std"], device=device),
        clips=tuple(facts["clips"]),
        frames=facts["frames"],
        multi_label=facts.get("multi_label", False),
        will_read=MappedPages([pixel_map, mask_map] if home.type == "cpu" else []).will_read,
    )


def _map(path: Path) -> tuple[Tensor, mmap.mmap]:
    """An array whose pages come from the file, and its map; a page that is written to becomes a private copy."""
    array = np.load(path, mmap_mode="c", allow_pickle=False)
    return torch.from_numpy(array), array.base


class MappedPages:
    """Releases pages of mapped files from time to time.

    Pages that a process has read count as its memory until it releases them. They then stay in the system's file
    cache, as long as there is room, and come back without reading the disk.

    Args:
        maps: of the files, which nobody writes to; empty if the set is not in files.
        most_bytes: the most bytes to hold.
    """

    def __init__(self, maps: Sequence[mmap.mmap] = (), most_bytes: int = _MOST_BYTES) -> None:
        self._maps = tuple(one for one in maps if hasattr(one, "madvise"))  # not on every system
        self._most, self._held = most_bytes, 0

    def will_read(self, n_bytes: int) -> None:
        """Count bytes that are about to be read, and release all pages if the limit is exceeded."""
        self._held += n_bytes
        if self._held > self._most:
            self._held = n_bytes
            for one in self._maps:
                one.madvise(mmap.MADV_DONTNEED)
