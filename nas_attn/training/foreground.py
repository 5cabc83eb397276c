"""Crops that are centred on foreground, for classes that a random crop seldom meets."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_attn.training.class_prior import label_counts
from nas_attn.training.generator import keyed_generator
from nas_attn.training.images import DeviceImages
from nas_attn.training.metrics import IGNORED

_NUMBERS = 3  # whether, which class, which pixel


def centre_on_foreground(
    images: DeviceImages, first: Tensor, draws: Tensor, size: int, share: float, seed: int
) -> Tensor:
    """The draws of crops, of which a share is moved so that a pixel of foreground is in the middle.

    As nnU-Net draws them (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z): the class uniformly among those of
    the image but the first, then the pixel uniformly among those of the class. As with its
    ``probabilistic_oversampling`` each crop is of the share by a draw of its own, so that the share holds for
    batches of any size. A crop stays within its image, so near the border the pixel is not in the middle, and a
    crop of an image without foreground stays where it was.

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
        places = _centred(images, image, numbers[of_image][:, 1:], size)
        if places is not None:
            moved[..., :2][of_image] = places.to(moved)
    return moved


def _centred(images: DeviceImages, image: int, numbers: Tensor, size: int) -> Tensor | None:
    """Where crops of an image, or of the clip that it begins, are placed; None where it has no foreground.

    Shape: (n, 2) -> (n, 2) in [0, 1).
    """
    labels = torch.stack([images.mask(image + frame) for frame in range(images.frames)]).cpu()
    return centred_places(labels, numbers, size)


def centred_places(labels: Tensor, numbers: Tensor, size: int) -> Tensor | None:
    """Where the crops of a mask, or of those of a clip, are placed to be centred; None where it has no foreground.

    Args:
        labels: class indices, uint8, on the CPU.
        numbers: two uniform numbers for each crop: which class, and which pixel of it.
        size: side of the crops.
    Shape: labels (T, H, W), numbers (n, 2) -> (n, 2) in [0, 1), what ``draws`` has first.
    """
    height, width = labels.shape[-2:]
    labels = labels.flatten()
    (classes,) = label_counts([labels])[1:IGNORED].nonzero(as_tuple=True)
    if not len(classes):
        return None
    wanted = classes[_index(numbers[:, 0], len(classes))] + 1
    places = torch.empty(len(numbers), dtype=torch.long)
    for label in torch.unique(wanted).tolist():
        of_class = (labels == label).nonzero()[:, 0]
        places[wanted == label] = of_class[_index(numbers[wanted == label, 1], len(of_class))]
    pixels = torch.stack([places % (height * width) // width, places % width], 1)
    rooms = torch.tensor([max(0, height - size), max(0, width - size)])
    starts = (pixels - size // 2).clamp(min=0).minimum(rooms)
    return (starts + 0.5) / (rooms + 1)


def _index(numbers: Tensor, length: int) -> Tensor:
    """Uniform numbers in [0, 1) as places in a list."""
    return (numbers * length).long().clamp(max=length - 1)
