"""How well a network segments the whole images of a split."""

from __future__ import annotations

import torch
import torch.distributed

from nas_attn.clips import covering_windows
from nas_attn.data import LabelledImages
from nas_attn.measure import IntersectionOverUnion
from nas_attn.training.segmenter import Segmenter


def score_images(
    segmenter: Segmenter, images: LabelledImages, classes: int, device: torch.device, frames: int = 1
) -> tuple[float, tuple[float | None, ...]]:
    """Mean IoU and the IoU of each class, pooled over all images at their true size.

    Where several processes train together, each takes its share and all get the result.

    Args:
        segmenter: the network, on the device, in eval mode.
        images: the split.
        classes: K.
        device: of this process.
        frames: T of the windows in which clips are segmented; 1 where images are still.
    """
    rank, world_size = 0, 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    iou = IntersectionOverUnion(classes)
    nothing = images.mask(0)[None][:0].to(device)
    iou.update(nothing, nothing)  # so that a process without a share has its counts on the device too
    windows = covering_windows(images.clips or (1,) * len(images), frames)
    for window in windows[rank::world_size]:
        numbers = range(window.first, window.first + frames)
        pixels = torch.stack([images.image(number) for number in numbers]).to(device)
        masks = torch.stack([images.mask(number) for number in numbers]).to(device)
        labels = segmenter.labels_together(pixels).to(device)
        iou.update(labels[window.seen :], masks[window.seen :])
    return iou.compute()
