"""What two networks say of the validation images, and which of these tell most."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_attn.clips import Window, covering_windows
from nas_attn.data import Dataset
from nas_attn.evaluate import TrainingEvaluator
from nas_attn.measure import IntersectionOverUnion


def windows_of(dataset: Dataset, evaluator: TrainingEvaluator) -> tuple[Window, ...]:
    """The windows in which the validation images are judged, one for each where they are still."""
    return covering_windows(dataset.val.clips or (1,) * len(dataset.val), evaluator.network.frames)


def network_input(dataset: Dataset, window: Window, evaluator: TrainingEvaluator) -> Tensor:
    """The validation images of a window as a network wants them, (T, C, H, W)."""
    numbers = range(window.first, window.first + evaluator.network.frames)
    pixels = torch.stack([dataset.val.image(number) for number in numbers]).float()
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (dataset.mean, dataset.std))
    return ((pixels - mean) / std).to(evaluator.device)


@torch.no_grad()
def predicted_labels(network: nn.Module, evaluator: TrainingEvaluator, dataset: Dataset) -> list[Tensor]:
    """The class of each pixel of each validation image, (H, W) on the CPU."""
    found = []
    for window in windows_of(dataset, evaluator):
        inputs = network_input(dataset, window, evaluator)
        with evaluator.precision.autocast(inputs.device):
            logits = network(evaluator.precision.arrange(inputs))
        found += logits.argmax(1).to(torch.uint8).cpu()[window.seen :]
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
