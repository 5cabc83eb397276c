"""Check that a copy of a network computes the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_PROBE = 96
"""Side, in pixels, of the test image if that of the search is larger: the graph of an attention over positions has
as many weights as the fourth power of the side."""


@dataclass(frozen=True)
class Agreement:
    """How much a copy of a network differs from it.

    Args:
        sizes: of the images, as (images, height, width).
        difference: the largest difference between two logits.
        scale: the largest logit.
        labels: share of the pixels to which both give the same class.
    """

    sizes: tuple[tuple[int, int, int], ...]
    difference: float
    scale: float
    labels: float

    @property
    def exact(self) -> bool:
        """Whether every logit is the same, to the last bit."""
        return self.difference == 0.0

    def __str__(self) -> str:
        images = ", ".join(f"{number} x {height}x{width}" for number, height, width in self.sizes)
        if self.exact:
            return f"equal to the bit on {images}"
        return (
            f"largest difference {self.difference:.1e} of logits up to {self.scale:.1f}, "
            f"{self.labels:.2%} of the labels equal, on {images}"
        )


Compute = Callable[[Tensor], Tensor]


def compare(network: Compute, copy: Compute, images: Sequence[Tensor], *, multi_label: bool = False) -> Agreement:
    """Compare both on the same images.

    Args:
        network: (N, C, H, W) -> (N, K, H, W).
        copy: that should compute the same.
        images: some batches.
        multi_label: whether classes may overlap.
    """

    def answer(logits: Tensor) -> Tensor:
        return logits > 0 if multi_label else logits.argmax(1)

    found = []
    with torch.inference_mode():
        for batch in images:
            ours, theirs = network(batch), copy(batch)
            same = (answer(ours) == answer(theirs)).float().mean().item()
            difference = torch.where(ours == theirs, 0.0, (ours - theirs).abs())  # infinite ones may be equal too
            found.append((difference.max().item(), ours.abs().max().item(), same))
    differences, scales, labels = zip(*found, strict=True)
    sizes = tuple((len(batch), batch.shape[2], batch.shape[3]) for batch in images)
    largest = torch.tensor(differences).max().item()  # unlike max(), it does not lose a NaN
    return Agreement(sizes, largest, max(scales), min(labels))


def probes(channels: int, image_size: int, least: int, frames: int = 1, multiple: int = 1) -> Iterator[Tensor]:
    """Normalised images of four sizes: that of the search, an odd one, and two small ones that are not square.

    Args:
        channels: C.
        image_size: of the search, in pixels.
        least: the smallest size, in pixels.
        frames: T of the clips; only whole clips are given.
        multiple: both sides are enlarged to multiples of it.
    """
    side = min(image_size, MAX_PROBE)
    generator = torch.Generator().manual_seed(0)
    sizes = (
        (2, side, side),
        (1, side + 1, max(least, side - 1)),
        (2, least + 3, least),
        (1, 4 * least, 2 * least),
    )
    for number, *sides in sizes:
        height, width = (-(-side // multiple) * multiple for side in sides)
        yield torch.randn(number * frames, channels, height, width, generator=generator)


def stirred(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights with noise, so that none is exactly 0 or 1 and every module has an effect.

    In an initialisation this is often not so: a scale of 0 hides everything before it.
    """
    generator = torch.Generator().manual_seed(0)
    return {name: _noisy(tensor, generator) for name, tensor in state.items()}


def _noisy(tensor: Tensor, generator: torch.Generator) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.clone()
    noise = 0.1 * torch.randn(tensor.shape, generator=generator)
    if bool((tensor > 0).all()):
        return tensor * noise.exp()  # a variance stays above 0
    typical = tensor.square().mean().sqrt()
    if typical > 0 and bool((tensor >= 0).all()):
        return tensor + noise.abs() * typical  # as that of channels which trained weights have left at 0
    return tensor + noise * (typical if typical > 0 else 1.0)
