"""An image to be segmented, brought to the size of the training images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas_attn.data import read_image
from nas_attn.data.picture import as_tensor
from nas_attn.data.problem import printable
from nas_attn.data.shrink import shrink_image
from nas_attn.errors import DataError


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An image for a network.

    Args:
        full: (C, H, W), raw values, at the size of the file.
        reduced: the same, at most as large as the images of the training.
    """

    full: Tensor
    reduced: Tensor


def load_image(path: Path, channels: int, bits: int, longest_side: int | None) -> LoadedImage:
    """Read an image as the images of a data set are read.

    Args:
        path: of the file.
        channels: that the network takes.
        bits: of a channel of the training images.
        longest_side: to which larger training images were reduced; None where they were not.
    Raises:
        DataError: the file cannot be read, or is of another kind than the training images.
    """
    full = read_image(path, channels)
    given = bits_of(full)
    if given != bits:
        raise DataError(
            f"{printable(path)}: has {given} bits a channel, the training images had {bits}; convert the image"
        )
    values = full.numpy() if given == 8 else full.numpy().astype(np.uint16)
    return LoadedImage(full, as_tensor(shrink_image(values, longest_side)))


def bits_of(pixels: Tensor) -> int:
    """Of a channel: 8 or 16."""
    return 8 if pixels.dtype == torch.uint8 else 16
