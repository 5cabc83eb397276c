"""What a module refuses: options outside their range and maps that it cannot normalise."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nas_attn.errors import AttentionError
from nas_attn.models.kind import AttentionKind


def check_arguments(kind: AttentionKind, sizes: Mapping[str, int], options: Mapping[str, object]) -> None:
    """Refuse what a constructor cannot use, all of it at once.

    Args:
        kind: whose constructor was called.
        sizes: numbers of channels, by keyword.
        options: values of the kind's own options, by keyword.
    Raises:
        AttentionError: a size is no whole number of at least 1, or an option is not allowed.
    """
    found = [
        f"{kind.name}: {name} is {size!r}; it must be a whole number of at least 1"
        for name, size in sizes.items()
        if not isinstance(size, int) or isinstance(size, bool) or size < 1
    ]
    found += kind.problems(options)
    if found:
        raise AttentionError(found)


def check_batch_statistics(name: str, x: Tensor, training: bool) -> None:
    """Refuse to normalise one value by itself: batch normalisation has no variance there.

    Args:
        name: the kind, as the error shall call it.
        x: what is about to be normalised over N, H and W; (N, C, H, W).
        training: whether the statistics come from x; running statistics work for a single value too.
    Raises:
        AttentionError: N * H * W is 1 in training.
    """
    if training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
        raise AttentionError(
            f"{name} cannot be trained on a single image with a 1x1 map: batch normalisation needs more than "
            "one value; use at least 2 images in a batch or a larger image"
        )


def check_clips(name: str, x: Tensor, frames: int) -> None:
    """Refuse a batch that holds a part of a clip.

    Args:
        name: the kind, as the error shall call it.
        x: T consecutive frames of one clip, then those of the next; (B * T, C, H, W).
        frames: T.
    Raises:
        AttentionError: the number of images is no multiple of T.
    """
    if x.shape[0] % frames:
        raise AttentionError(
            f"{name} takes whole clips of {frames} frames, and was given {x.shape[0]} images; give it a multiple "
            f"of {frames}, consecutive frames of one clip after another"
        )
