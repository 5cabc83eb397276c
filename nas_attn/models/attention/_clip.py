"""The frames of a batch as clips."""

from __future__ import annotations

from torch import Tensor


def as_clips(x: Tensor, frames: int) -> Tensor:
    """A view in which the frames of a clip have an axis of their own.

    Args:
        x: T consecutive frames of one clip, then those of the next.
        frames: T.
    Shape: (B * T, ...) -> (B, T, ...).
    """
    return x.view(-1, frames, *x.shape[1:])
