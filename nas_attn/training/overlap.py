"""Classes that may overlap, as tensors: the classes of a pixel are bits of one number, or one plane each."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_attn.data.dataset import IGNORED
from nas_attn.data.overlapping import MOST_IN_A_BYTE, bit_of


def has_class(codes: Tensor, index: int) -> Tensor:
    """Where a class is present; False for ignored pixels.

    Args:
        codes: sets of classes as whole numbers, 255 where ignored; of any shape.
        index: of the class.
    """
    return (codes >> bit_of(index) & 1 > 0) & (codes != IGNORED) if bit_of(index) < _bits(codes) else codes < 0


def planes(codes: Tensor, classes: int) -> Tensor:
    """One mask per class: 1 where it is present, 0 where not, 255 where ignored. Does not wait for the device.

    Shape: (N, H, W) -> (N, K, H, W) uint8.
    """
    found = torch.stack([has_class(codes, index) for index in range(classes)], 1).to(torch.uint8)
    return found.masked_fill((codes == IGNORED).unsqueeze(1), IGNORED)


def answers(logits: Tensor, multi_label: bool) -> Tensor:
    """The predicted class of each pixel; if classes may overlap, all classes more probable than not, as bits.

    Shape: (N, K, H, W) -> (N, H, W) whole numbers.
    """
    if not multi_label:
        return logits.argmax(1)
    found = torch.zeros_like(logits[:, 0], dtype=dtype_of(logits.shape[1]))
    for index in range(logits.shape[1]):
        found |= (logits[:, index] > 0).to(found.dtype) << bit_of(index)
    return found


def dtype_of(classes: int) -> torch.dtype:
    """The dtype of masks with this number of classes that may overlap."""
    return torch.uint8 if classes <= MOST_IN_A_BYTE else torch.int32


def _bits(codes: Tensor) -> int:
    return 8 if codes.dtype == torch.uint8 else 31
