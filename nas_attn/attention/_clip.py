"""The frames of a batch as clips."""

from __future__ import annotations

from torch import Tensor

from nas_attn.errors import AttentionError


def as_clips(name: str, x: Tensor, frames: int) -> Tensor:
    """A view in which the frames of a clip have an axis of their own.

    Args:
        name: the kind, as the error shall call it.
        x: T consecutive frames of one clip, then those of the next.
        frames: T.
    Shape: (B * T, ...) -> (B, T, ...).
    Raises:
        AttentionError: the batch holds a part of a clip.
    """
    if x.shape[0] % frames:
        raise AttentionError(
            f"{name} takes whole clips of {frames} frames, and was given {x.shape[0]} images; give it a multiple "
            f"of {frames}, consecutive frames of one clip after another"
        )
    return x.view(-1, frames, *x.shape[1:])
