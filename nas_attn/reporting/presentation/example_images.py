"""What a network says of the validation images, and which of these tell most."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_attn.clips import covering_windows
from nas_attn.training import segment_images
from nas_attn.training.evaluation import TrainingEvaluator
from nas_attn.training.metrics import IntersectionOverUnion
from nas_attn.training.overlap import answers


def segmented(network: nn.Module, evaluator: TrainingEvaluator) -> tuple[list[Tensor], list[float]]:
    """The class of each pixel of each validation image, (H, W) on the CPU, and the mean IoU of each alone."""
    images = evaluator.validation
    labels = [torch.empty(size, dtype=images.masks.dtype) for size in images.sizes]
    ious = [IntersectionOverUnion(evaluator.network.classes, multi_label=images.multi_label) for _ in labels]
    for found in segment_images(evaluator.segmenter(network), images):
        answered = answers(found.logits, images.multi_label).to(images.masks.dtype).cpu()
        for number, answer, mask in zip(found.numbers.tolist(), answered, found.masks.cpu(), strict=True):
            labels[number][found.rows, found.columns] = answer
            ious[number].update(answer[None], mask[None])
    return labels, [iou.compute()[0] if iou.overlaps().occurring.any() else math.nan for iou in ious]


def network_input(index: int, evaluator: TrainingEvaluator) -> tuple[Tensor, int]:
    """The window in which a validation image is scored, as a network wants it, and the image's place in it.

    Shape: () -> (T, C, H, W), ().
    """
    images = evaluator.validation
    windows = covering_windows(images.lengths, images.frames)
    first = next(one.first for one in windows if 0 <= index - one.first < images.frames)
    pixels, _ = images.images_of(range(first, first + images.frames))
    return images.normalise(pixels.to(images.device)), index - first


def telling_images(ious: Sequence[float], names: Sequence[str]) -> dict[int, str]:
    """The worst, the median and the best image, as far as there are so many."""
    known = [index for index, iou in enumerate(ious) if not math.isnan(iou)]
    order = sorted(known, key=lambda index: (ious[index], names[index]))
    chosen = {order[0]: "worst", order[len(order) // 2]: "median", order[-1]: "best"}
    return dict(sorted(chosen.items(), key=lambda item: order.index(item[0])))
