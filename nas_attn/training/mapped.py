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
    """Write a set into a folder, image by image; it appears there whole or not at all.

    Args:
        images: the set.
        mean: per channel, in pixel units, with which its images are normalised.
        std: likewise.
        folder: must not exist; the one above it must.
        frames: T, so many consecutive frames of a clip go through the network together.
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
    """That of a ``.npy`` file, whose values follow, row by row."""
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)


def read_mapped(folder: Path, device: torch.device, *, most_bytes: int | None = None) -> DeviceImages:
    """The set of a folder; on a CPU its pixels stay in the files, mapped into memory.

    Args:
        folder: as ``write_mapped`` has left it.
        device: where batches are wanted.
        most_bytes: a set larger than this is mapped rather than brought to the device; None is no limit.
    Raises:
        MachineError: the files are not what was written.
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
    """An array whose pages come from the file, and its map; a page that somebody writes to becomes a copy."""
    array = np.load(path, mmap_mode="c", allow_pickle=False)
    return torch.from_numpy(array), array.base


class MappedPages:
    """Lets go of what was read from mapped files, time and again.

    What a process has read of a mapped file counts as its memory until it lets go. It is then still in the
    system's cache of files, as long as there is room, and comes back without a look at the disk.

    Args:
        maps: of the files, which nobody writes to; none where the set is not in files.
        most_bytes: so much may be held.
    """

    def __init__(self, maps: Sequence[mmap.mmap] = (), most_bytes: int = _MOST_BYTES) -> None:
        self._maps = tuple(one for one in maps if hasattr(one, "madvise"))  # not on every system
        self._most, self._held = most_bytes, 0

    def will_read(self, n_bytes: int) -> None:
        """Make room for what is read next."""
        self._held += n_bytes
        if self._held > self._most:
            self._held = n_bytes
            for one in self._maps:
                one.madvise(mmap.MADV_DONTNEED)
