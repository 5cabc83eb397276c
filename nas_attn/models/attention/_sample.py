"""Bilinear interpolation of a map."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from nas_attn.models.attention._precise import precise, without_autocast


def sample(x: Tensor, rows: Tensor, columns: Tensor, beyond: Literal["zeros", "border"]) -> Tensor:
    """Values of a map at positions between its pixels, by bilinear interpolation in float32 or better.

    On a GPU the gradient is summed in no fixed order, so two runs differ in the last bits.

    Args:
        x: the map.
        rows: rows of the positions, in pixels; 0 is the centre of the first row.
        columns: columns of the positions, likewise.
        beyond: values outside the map: zeros, or those of its border.
    Shape: (N, C, H, W), (N, h, w), (N, h, w) -> (N, C, h, w).
    """
    height, width = x.shape[2:]
    with without_autocast(x.device.type):
        grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], -1)
        return functional.grid_sample(precise(x), grid, mode="bilinear", padding_mode=beyond, align_corners=False)
