"""Coordinates beyond the border of an image, reflected into it."""

from __future__ import annotations

import torch
from torch import Tensor


def mirrored(coordinates: Tensor, lengths: Tensor | int) -> Tensor:
    """Fold whole-number coordinates of any size into 0 .. length - 1 by reflection at the border pixels.

    >>> mirrored(torch.arange(-2, 6), 3).tolist()
    [2, 1, 0, 1, 2, 1, 0, 1]
    """
    last = torch.as_tensor(lengths, device=coordinates.device) - 1
    folded = coordinates.remainder((2 * last).clamp(min=1))
    return torch.where(folded > last, 2 * last - folded, folded)


def enlarged(pixels: Tensor, height: int, width: int) -> Tensor:
    """Images continued by reflection at the bottom and the right.

    Shape: (N, C, H, W) -> (N, C, max(H, height), max(W, width)).
    """
    rows = mirrored(torch.arange(max(height, pixels.shape[2]), device=pixels.device), pixels.shape[2])
    columns = mirrored(torch.arange(max(width, pixels.shape[3]), device=pixels.device), pixels.shape[3])
    return pixels[:, :, rows][:, :, :, columns]
