"""What two networks say of the validation images, and which of these tell most."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_attn.data import Dataset
from nas_attn.evaluate import TrainingEvaluator
from nas_attn.measure import IntersectionOverUnion


def network_input(dataset: Dataset, index: int, evaluator: TrainingEvaluator) -> Tensor:
    """One validation image as a network wants it, (1, C, H, W)."""
    pixels = dataset.val.image(index)[None].float()
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (dataset.mean, dataset.std))
    return ((pixels - mean) / std).to(evaluator.device)


@torch.no_grad()
def predicted_labels(network: nn.Module, evaluator: TrainingEvaluator, dataset: Dataset) -> list[Tensor]:
    """The class of each pixel of each validation image, (H, W) on the CPU."""
    found = []
    for index in range(len(dataset.val)):
        inputs = network_input(dataset, index, evaluator)
        with evaluator.precision.autocast(inputs.device):
            logits = network(evaluator.precision.arrange(inputs))
        found.append(logits[0].argmax(0).to(torch.uint8).cpu())
    return found


def image_ious(labels: Sequence[Tensor], dataset: Dataset) -> list[float]:
    """Mean IoU of each image alone."""
    found = []
    for index, label in enumerate(labels):
        iou = IntersectionOverUnion(len(dataset.classes))
        iou.update(label[None], dataset.val.mask(index)[None])
        found.append(iou.compute()[0])
    return found


def telling_images(ious: Sequence[float], names: Sequence[str]) -> dict[int, str]:
    """The worst, the median and the best image, as far as there are so many."""
    order = sorted(range(len(ious)), key=lambda index: (ious[index], names[index]))
    chosen = {order[0]: "worst", order[len(order) // 2]: "median", order[-1]: "best"}
    return dict(sorted(chosen.items(), key=lambda item: order.index(item[0])))
