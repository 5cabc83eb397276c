"""Crops centred on foreground, for classes that a random crop seldom contains."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_attn.data.dataset import IGNORED
from nas_attn.training.class_frequencies import label_counts, overlap_counts
from nas_attn.training.generator import keyed_generator
from nas_attn.training.images import DeviceImages
from nas_attn.training.overlap import has_class

_NUMBERS = 3  # whether, which class, which pixel


def centre_on_foreground(
    images: DeviceImages, first: Tensor, draws: Tensor, size: int, share: float, seed: int
) -> Tensor:
    """The draws of crops, with a share of the crops moved so that a foreground pixel is in the middle.

    The draws follow nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z). The class is uniform among the
    image's classes except the first (among all, if classes may overlap); the pixel is uniform among those of the
    class. As with nnU-Net's ``probabilistic_oversampling``, each crop is moved or not by its own draw, so that the
    share is right for batches of any size. A crop stays within its image, so near the border the pixel is not in
    the middle. A crop of an image without foreground is not moved.

    Args:
        images: the set.
        first: the image of each crop, or the first of its frames.
        draws: the six uniform numbers of each crop.
        size: side of the crops.
        share: of the crops that are moved.
        seed: of the run.
    Shape: first (steps, N), draws (steps, N, 6) -> (steps, N, 6).
    """
    steps, batch = first.shape
    numbers = torch.stack(
        [
            torch.rand(batch, _NUMBERS, dtype=torch.float64, generator=keyed_generator("foreground", seed, step))
            for step in range(steps)
        ]
    )
    moved = draws.clone()
    chosen = numbers[..., 0] < share
    for image in torch.unique(first[chosen]).tolist():
        of_image = chosen & (first == image)
        labels = torch.stack([images.mask(image + frame) for frame in range(images.frames)]).cpu()
        places = centred_places(labels, numbers[of_image][:, 1:], size, images.multi_label)
        if places is not None:
            moved[..., :2][of_image] = places.to(moved)
    return moved


def centred_places(labels: Tensor, numbers: Tensor, size: int, multi_label: bool = False) -> Tensor | None:
    """Positions that centre the crops of a mask, or of a clip's masks, on foreground; None if there is none.

    Args:
        labels: class indices, or sets of classes as one number, on the CPU.
        numbers: two uniform numbers for each crop: one picks the class, one the pixel of it.
        size: side of the crops.
        multi_label: whether labels are sets.
    Shape: labels (T, H, W), numbers (n, 2) -> (n, 2) in [0, 1), the first two numbers of ``draws``.
    """
    height, width = labels.shape[-2:]
    labels = labels.flatten()
    classes = _foreground(labels, multi_label)
    if not len(classes):
        return None
    wanted = classes[_index(numbers[:, 0], len(classes))]
    places = torch.empty(len(numbers), dtype=torch.long)
    for label in torch.unique(wanted).tolist():
        of_class = (has_class(labels, label) if multi_label else labels == label).nonzero()[:, 0]
        places[wanted == label] = of_class[_index(numbers[wanted == label, 1], len(of_class))]
    pixels = torch.stack([places % (height * width) // width, places % width], 1)
    rooms = torch.tensor([max(0, height - size), max(0, width - size)])
    starts = (pixels - size // 2).clamp(min=0).minimum(rooms)
    return (starts + 0.5) / (rooms + 1)


def _foreground(labels: Tensor, multi_label: bool) -> Tensor:
    """The classes of some pixels except the first; all classes if they may overlap, because none is background."""
    if multi_label:
        return overlap_counts([labels])[:IGNORED].nonzero()[:, 0]
    return label_counts([labels])[1:IGNORED].nonzero()[:, 0] + 1


def _index(numbers: Tensor, length: int) -> Tensor:
    """Uniform numbers in [0, 1) as indices into a list."""
    return (numbers * length).long().clamp(max=length - 1)
