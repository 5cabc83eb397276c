"""Score a trained network on a set of images; used by searches, full trainings and prediction panels alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed
from numpy.typing import NDArray
from torch import Tensor

from nas_attn.clips import Window, clip_numbers, covering_windows
from nas_attn.counts import ImageCounts, n_groups
from nas_attn.errors import DataError
from nas_attn.metric import MEAN_IOU, METRICS, Overlaps, all_metrics
from nas_attn.record import Score
from nas_attn.training.images import DeviceImages
from nas_attn.training.loss import Loss, segmentation_loss
from nas_attn.training.metrics import IntersectionOverUnion
from nas_attn.training.metrics.iou import mean_iou
from nas_attn.training.overlap import answers
from nas_attn.training.segmenter import Segmenter

_BATCH_PIXELS = 2**18


@dataclass(frozen=True, eq=False)
class SegmentedImages:
    """A part of some images of one size that no other part contains, with the network's scores.

    Args:
        numbers: of the images in their set.
        rows: rows of the images; all of them if the images went through the network in one piece.
        columns: likewise.
        logits: unnormalised scores.
        masks: true classes; 255 is ignored.
    Shape: (N,), (N, K, h, w), (N, h, w).
    """

    numbers: Tensor
    rows: slice
    columns: slice
    logits: Tensor
    masks: Tensor


@dataclass(frozen=True, eq=False)
class JudgedImages:
    """Overlaps of a network's predictions with the masks of a set.

    Args:
        overlaps: image by image.
        loss: mean training loss over the set; for large images, over their tiles.
        pixels: number of pixels in the set.
    """

    overlaps: Overlaps
    loss: float
    pixels: int

    @classmethod
    def of_folds(cls, judged: Sequence[JudgedImages], numbers: Sequence[Sequence[int]]) -> JudgedImages:
        """Join the folds of a set into the whole set.

        Args:
            judged: of each fold.
            numbers: for each fold, the numbers of its images in the whole set.
        """
        order = np.argsort(np.concatenate([np.asarray(held) for held in numbers]))
        parts = [[getattr(one.overlaps, name) for one in judged] for name in ("labelled", "predicted", "both")]
        pixels = sum(one.pixels for one in judged)
        loss = sum(one.loss * one.pixels for one in judged) / pixels
        overlaps = Overlaps(
            *(np.concatenate(part)[order] for part in parts), multi_label=judged[0].overlaps.multi_label
        )
        return cls(overlaps, loss, pixels)

    def score(self, lengths: Sequence[int], metric: str) -> Score:
        """The score of these predictions.

        Args:
            lengths: number of frames of each clip of the set; 1 for each still image.
            metric: one of ``METRICS``.
        Raises:
            DataError: no mask has a class that the metric uses.
        """
        _, per_class = mean_iou(self.overlaps)
        metrics = all_metrics(self.overlaps)
        if (value := metrics[metric]) is None:
            raise DataError(f"no pixel to judge by {METRICS[metric].title}: no mask holds any class but the first")
        groups = _groups(lengths, self.overlaps.labelled.shape[1])
        counts = ImageCounts.of_overlaps(self.overlaps, groups, metric)
        return Score(value, per_class, self.loss, counts, metrics)


def score_images(
    segmenter: Segmenter, images: DeviceImages, classes: int, *, loss: Loss = segmentation_loss
) -> Score:
    """Segment whole images at their original sizes and compare them with their masks. The score is their mean IoU.

    If several processes train together, each segments its share, and all get the score of the whole set.

    Args:
        segmenter: the network in eval mode, on the device of the images.
        images: the validation or the test set.
        classes: K.
        loss: whose mean is computed too.
    Raises:
        DataError: no mask has a class that the metric uses.
    """
    return judge_images(segmenter, images, classes, loss).score(images.lengths, MEAN_IOU)


def judge_images(segmenter: Segmenter, images: DeviceImages, classes: int, loss: Loss) -> JudgedImages:
    """Segment whole images at their original sizes and count their overlaps with the masks.

    Args:
        segmenter: the network in eval mode, on the device of the images.
        images: the set.
        classes: K.
        loss: whose mean is computed too.
    """
    rank, world_size = _process()
    iou = IntersectionOverUnion(classes, len(images), multi_label=images.multi_label, device=images.device)
    losses: list[Tensor] = []
    pixels: list[int] = []
    for found in segment_images(segmenter, images, rank, world_size):
        iou.update(answers(found.logits, images.multi_label), found.masks, found.numbers)
        losses.append(loss(found.logits, found.masks))
        pixels.append(found.masks.numel())
    return JudgedImages(iou.overlaps(), _mean_loss(losses, pixels, images.device), images.masks.numel())


@torch.no_grad()
def segment_images(
    segmenter: Segmenter, images: DeviceImages, rank: int = 0, world_size: int = 1
) -> Iterator[SegmentedImages]:
    """Segment every pixel once, without padding. Only images of equal size share a batch, and large images are
    segmented in tiles, so that their scores for all classes never have to fit into memory at once.

    Args:
        segmenter: the network in eval mode, on the device of the images.
        images: the set; clips go through the network in windows of T frames.
        rank: number of this process; it gets every ``world_size``-th batch.
        world_size: number of processes.
    """
    offsets, home = torch.arange(images.frames, device=images.pixels.device), images.pixels.device
    for windows in list(_batches(images))[rank::world_size]:
        numbers = [window.first + offset for window in windows for offset in range(images.frames)]
        pixels, masks = (kept.to(images.device) for kept in images.images_of(numbers))
        seen = torch.tensor([window.seen for window in windows], device=home)[:, None]
        is_new = (offsets >= seen).flatten() if seen.any() else slice(None)
        chosen, masks = torch.tensor(numbers, device=home)[is_new], masks[is_new]
        for part in segmenter.parts(pixels):
            rows, columns = part.rows, part.columns
            yield SegmentedImages(chosen, rows, columns, part.logits[is_new], masks[:, rows, columns])


def _batches(images: DeviceImages) -> Iterator[list[Window]]:
    by_size: dict[tuple[int, int], list[Window]] = {}
    for window in covering_windows(images.lengths, images.frames):
        by_size.setdefault(images.sizes[window.first], []).append(window)
    for (height, width), windows in by_size.items():
        at_once = max(1, _BATCH_PIXELS // (height * width * images.frames))
        yield from (windows[start : start + at_once] for start in range(0, len(windows), at_once))


def _groups(lengths: Sequence[int], classes: int) -> NDArray[np.int64]:
    """The group in which each image is counted, (N,). All frames of a clip are in one group."""
    numbers = np.array(clip_numbers(lengths), dtype=np.int64)
    return numbers * n_groups(len(lengths), classes) // len(lengths)


def _process() -> tuple[int, int]:
    """Number of this process, and number of all processes that train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _mean_loss(losses: list[Tensor], pixels: list[int], device: torch.device) -> float:
    """Mean over the batches of all processes, weighted by their pixels."""
    weights = torch.tensor(pixels, dtype=torch.float32)
    total = torch.stack([(torch.stack(losses).cpu() * weights).sum() if losses else weights.sum(), weights.sum()])
    if _process()[1] > 1:
        total = total.to(device)
        torch.distributed.all_reduce(total)
    return (total[0] / total[1]).item()
