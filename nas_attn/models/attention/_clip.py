"""Reshape a batch of frames into clips."""

from __future__ import annotations

from torch import Tensor


def as_clips(x: Tensor, frames: int) -> Tensor:
    """View of a batch in which the frames of a clip have their own axis.

    Args:
        x: T consecutive frames of one clip, then those of the next.
        frames: T.
    Shape: (B * T, ...) -> (B, T, ...).
    """
    return x.view(-1, frames, *x.shape[1:])
