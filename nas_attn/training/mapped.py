"""A packed set in files that the workers of a machine share: decoded once, held in memory once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas_attn.training.images import DeviceImages, home_of
from nas_attn.training.seal import check_seal, seal
from nas_attn.whole_file import whole_file

_FACTS = "facts.json"


def write_mapped(images: DeviceImages, folder: Path) -> None:
    """Write a set into a folder; it appears there whole or not at all.

    Args:
        images: packed for the CPU.
        folder: must not exist; the one above it must.
    """
    facts = {name: getattr(images, name).tolist() for name in ("heights", "widths", "mean", "std")}
    facts |= {"clips": images.clips, "frames": images.frames, "multi_label": images.multi_label}
    with whole_file(folder) as part:
        part.mkdir()
        np.save(part / "pixels.npy", images.pixels.numpy())
        np.save(part / "masks.npy", images.masks.numpy())
        (part / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        seal(part)


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
    pixels, masks = _map(folder / "pixels.npy"), _map(folder / "masks.npy")
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
    )


def _map(path: Path) -> Tensor:
    """An array whose pages come from the file; a page that somebody writes to becomes a copy of their own."""
    return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
