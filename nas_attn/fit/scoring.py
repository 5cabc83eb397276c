"""How well a network segments the whole images of a split."""

from __future__ import annotations

import torch
import torch.distributed

from nas_attn.data import LabelledImages
from nas_attn.fit.inference import Segmenter
from nas_attn.measure import IntersectionOverUnion


def score_images(
    segmenter: Segmenter, images: LabelledImages, classes: int, device: torch.device
) -> tuple[float, tuple[float | None, ...]]:
    """Mean IoU and the IoU of each class, pooled over all images at their true size.

    Where several processes train together, each takes its share and all get the result.

    Args:
        segmenter: the network, on the device, in eval mode.
        images: the split.
        classes: K.
        device: of this process.
    """
    rank, world_size = 0, 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    iou = IntersectionOverUnion(classes)
    nothing = images.masks[:0].to(device)
    iou.update(nothing, nothing)  # so that a process without a share has its counts on the device too
    for index in range(rank, len(images), world_size):
        labels = segmenter.labels(images.image(index).to(device))
        iou.update(labels[None].to(device), images.mask(index)[None].to(device))
    return iou.compute()
