"""What a trained network is worth on a set of images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nas_attn.clips import Window, clip_numbers, covering_windows
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
    group_of = _groups(images, classes)
    iou = IntersectionOverUnion(classes, int(group_of[-1]) + 1)
    losses: list[Tensor] = []
    pixels: list[int] = []
    for chosen, inputs, masks, is_new in _batches(images):
        with precision.autocast(inputs.device):
            logits = module(precision.arrange(inputs))
        if is_new is not None:
            chosen, logits, masks = chosen[is_new], logits[is_new], masks[is_new]
        iou.update(logits.argmax(1), masks, group_of[chosen])
        losses.append(segmentation_loss(logits, masks))
        pixels.append(masks.numel())
    mean, per_class = iou.compute()
    weights = torch.tensor(pixels, dtype=torch.float32)
    loss = (torch.stack(losses).cpu() * weights).sum() / weights.sum()
    return Score(mean, per_class, loss.item(), iou.counts())


def _groups(images: DeviceImages, classes: int) -> Tensor:
    """The group in which each image is counted, (N,); a clip is never parted."""
    numbers = torch.tensor(clip_numbers(images.lengths), device=images.pixels.device)
    clips = len(images.lengths)
    return numbers * n_groups(clips, classes) // clips


def _batches(images: DeviceImages) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
    """Numbers of the images, inputs and masks without padding: only images of equal size share a batch.

    Last which of them no earlier window has shown; None where that is all of them.
    """
    by_size: dict[tuple[int, int], list[Window]] = {}
    for window in covering_windows(images.lengths, images.frames):
        by_size.setdefault(images.sizes[window.first], []).append(window)
    offsets, home = torch.arange(images.frames, device=images.pixels.device), images.pixels.device
    for (height, width), windows in by_size.items():
        at_once = max(1, _BATCH_PIXELS // (height * width * images.frames))
        for start in range(0, len(windows), at_once):
            some = windows[start : start + at_once]
            numbers = [window.first + offset for window in some for offset in range(images.frames)]
            seen = torch.tensor([window.seen for window in some], device=home)[:, None]
            is_new = (offsets >= seen).flatten() if any(window.seen for window in some) else None
            pixels, masks = (kept.to(images.device) for kept in images.images_of(numbers))
            yield torch.tensor(numbers, device=home), images.normalise(pixels), masks, is_new
