"""What a trained network is worth on a set of images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nas_attn.counts import n_groups
from nas_attn.measure import IntersectionOverUnion
from nas_attn.record import Score
from nas_attn.training import DeviceImages, Precision, segmentation_loss

_BATCH_PIXELS = 2**18


@torch.no_grad()
def judge(module: nn.Module, images: DeviceImages, classes: int, precision: Precision) -> Score:
    """Segment whole images at their true sizes and compare them with their masks.

    Args:
        module: in eval mode, on the device of the images.
        images: the validation or the test set.
        classes: K.
        precision: in which the network is called.
    """
    groups = n_groups(len(images), classes)
    iou = IntersectionOverUnion(classes, groups)
    losses: list[Tensor] = []
    pixels: list[int] = []
    for chosen, inputs, masks in _batches(images):
        with precision.autocast(inputs.device):
            logits = module(precision.arrange(inputs))
        iou.update(logits.argmax(1), masks, chosen * groups // len(images))
        losses.append(segmentation_loss(logits, masks))
        pixels.append(masks.numel())
    mean, per_class = iou.compute()
    weights = torch.tensor(pixels, dtype=torch.float32)
    loss = (torch.stack(losses).cpu() * weights).sum() / weights.sum()
    return Score(mean, per_class, loss.item(), iou.counts())


def _batches(images: DeviceImages) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Numbers of the images, inputs and masks without padding: only images of equal size share a batch."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for index, size in enumerate(zip(images.heights.tolist(), images.widths.tolist(), strict=True)):
        by_size.setdefault(size, []).append(index)
    for (height, width), indices in by_size.items():
        at_once = max(1, _BATCH_PIXELS // (height * width))
        for start in range(0, len(indices), at_once):
            chosen = torch.tensor(indices[start : start + at_once], device=images.pixels.device)
            pixels = images.pixels[chosen, :, :height, :width].to(images.device)
            yield chosen, images.normalise(pixels), images.masks[chosen, :height, :width].to(images.device)
