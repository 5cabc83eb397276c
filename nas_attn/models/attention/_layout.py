"""Restore the memory layout of a feature map."""

from __future__ import annotations

import torch
from torch import Tensor


def in_layout_of(x: Tensor, y: Tensor) -> Tensor:
    """y in the memory layout of x, channels last or not."""
    last = x.is_contiguous(memory_format=torch.channels_last)
    return y.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
