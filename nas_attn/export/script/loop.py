"""The training loop of an exported script. This is copied into it; it needs PyTorch, NumPy and Pillow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.data.dataset import IGNORED
from nas_attn.data.shrink import shrink_image, shrink_mask
from nas_attn.losses import MUON
from nas_attn.training.batches import tint
from nas_attn.training.batchnorm import recalibrate_batchnorm
from nas_attn.training.flat import FlatParameters
from nas_attn.training.foreground import centred_places
from nas_attn.training.gradients import clip_gradients
from nas_attn.training.loss import build_loss
from nas_attn.training.optimiser import FlatOptimisers, learning_rates
from nas_attn.training.recipe import Recipe

Pair = tuple[Tensor, Tensor]
"""An image (C, H, W) and its mask of class numbers (H, W); 255 is ignored."""


def read_pairs(images: Path, masks: Path, channels: int, longest_side: int | None = None) -> list[Pair]:
    """Every image of a folder with the mask of the same name, whatever their suffixes.

    Args:
        images: folder.
        masks: folder; a mask contains class numbers.
        channels: C, 1 or 3.
        longest_side: larger images are shrunk to it, in pixels; None leaves them as they are.
    """
    by_name = {path.stem: path for path in masks.iterdir()}
    paths = sorted(path for path in images.iterdir() if path.stem in by_name)
    if not paths:
        raise SystemExit(f"{images}: no image has a mask of its name in {masks}")
    mode = "L" if channels == 1 else "RGB"
    return [
        (
            torch.from_numpy(shrink_image(_pixels(path, mode), longest_side)),
            torch.from_numpy(shrink_mask(_pixels(by_name[path.stem], None)[0], longest_side)),
        )
        for path in paths
    ]


def _pixels(path: Path, mode: str | None) -> Any:
    """The values of an image file, an array (C, H, W)."""
    with Image.open(path) as opened:
        found = np.array(opened if mode is None else opened.convert(mode))
    return np.moveaxis(found.reshape(*found.shape[:2], -1), 2, 0)


def crops(
    pairs: Sequence[Pair], size: int, batch: int, draw: torch.Generator, foreground: float = 0.0
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches without end: randomly flipped crops, their masks, and random numbers that tint them.

    Args:
        pairs: images and masks.
        size: side S of the crops.
        batch: N.
        draw: random generator.
        foreground: share of the crops that are centred on a pixel of a class other than the first.
    Shape: (N, C, S, S) pixels, (N, S, S) masks, (N, 6) numbers in [0, 1).
    """
    order: list[int] = []
    while True:
        while len(order) < batch:
            order += torch.randperm(len(pairs), generator=draw).tolist()
        chosen = [pairs[index] for index in order[:batch]]
        del order[:batch]
        draws = torch.rand(batch, 6, generator=draw)
        if foreground:
            _centre(draws, [mask for _, mask in chosen], size, foreground, draw)
        cut = [_crop(pair, size, numbers) for pair, numbers in zip(chosen, draws, strict=True)]
        yield torch.stack([one for one, _ in cut]), torch.stack([one for _, one in cut]), draws


def _centre(draws: Tensor, masks: Sequence[Tensor], size: int, share: float, draw: torch.Generator) -> None:
    """Move a share of the crops, in place, so that their centre is a pixel of foreground."""
    numbers = torch.rand(len(masks), 3, dtype=torch.float64, generator=draw)
    for row, mask, number in zip(draws, masks, numbers, strict=True):
        places = centred_places(mask[None], number[None, 1:], size) if number[0] < share else None
        if places is not None:
            row[:2] = places[0]


def _crop(pair: Pair, size: int, numbers: Tensor) -> Pair:
    """A square of an image. Beyond a smaller image, its border is repeated, and its mask is ignored."""
    image, mask = pair
    height, width = mask.shape
    below, right = max(0, size - height), max(0, size - width)
    if below or right:
        image = functional.pad(image[None].float(), (0, right, 0, below), mode="replicate")[0]
        mask = functional.pad(mask, (0, right, 0, below), value=IGNORED)
    top, left = (int(number * (side - size + 1)) for number, side in zip(numbers[:2], mask.shape, strict=True))
    flipped = [axis for axis, number in zip((-2, -1), numbers[2:4], strict=True) if number < 0.5]
    image, mask = (one[..., top : top + size, left : left + size].flip(flipped) for one in (image, mask))
    return image.float(), mask


def train(
    network: Any,
    pairs: Sequence[Pair],
    normalise: Callable[[Tensor], Tensor],
    recipe: Recipe,
    settings: Mapping[str, int],
    device: torch.device,
) -> None:
    """Train a network in place. It is then in eval mode.

    Args:
        network: (N, C, H, W) -> (N, K, H, W), on the device.
        pairs: the training images.
        normalise: normalises pixels.
        recipe: of the search.
        settings: steps, image_size, batch_size and seed.
        device: where to train.
    """
    steps, draw = settings["steps"], torch.Generator().manual_seed(settings["seed"])
    batches = crops(pairs, settings["image_size"], settings["batch_size"], draw, recipe.foreground)
    judge = build_loss(recipe.loss, recipe.class_weights, device)
    parameters = FlatParameters.of(network, muon=recipe.optimiser == MUON)
    optimisers = FlatOptimisers(parameters, recipe)
    network.train()
    for step, rate in enumerate(learning_rates(recipe, steps).to(device)):
        pixels, masks, draws = (one.to(device) for one in next(batches))
        if hasattr(network, "begin_step"):
            network.begin_step(step, steps)
        loss = judge(network(tint(normalise(pixels), draws, recipe)), masks)
        if hasattr(network, "own_loss"):
            loss = loss + network.own_loss(masks)
        parameters.zero_gradients()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        clip_gradients(parameters.buffers, recipe.clip_norm)
        optimisers.step(rate)
        if (step + 1) % max(1, steps // 20) == 0:
            print(f"step {step + 1} of {steps}: loss {loss.item():.4f}", flush=True)
    more = (normalise(next(batches)[0].to(device)) for _ in range(recipe.n_recalibration_batches(steps)))
    recalibrate_batchnorm(network, more, network)


@torch.inference_mode()
def class_ious(
    network: nn.Module, pairs: Sequence[Pair], normalise: Callable[[Tensor], Tensor], classes: int
) -> list[float]:
    """IoU of each class, pooled over all pixels of some images; nan for a class that occurs in no mask and no
    prediction."""
    device = next(network.parameters()).device
    both, either = torch.zeros(classes), torch.zeros(classes)
    for image, mask in pairs:
        labels = network(normalise(image[None].to(device))).argmax(1)[0].cpu()
        counts = mask != IGNORED
        for index in range(classes):
            said, true = (labels == index) & counts, (mask == index) & counts
            both[index] += (said & true).sum()
            either[index] += (said | true).sum()
    ious: list[float] = (both / either).tolist()
    return ious


def fit_tensors(network: nn.Module, tensors: Mapping[str, Tensor]) -> int:
    """Load the tensors that match a network's names and shapes, and return their number."""
    own = network.state_dict()
    fitting = {name: one for name, one in tensors.items() if name in own and own[name].shape == one.shape}
    network.load_state_dict(fitting, strict=False)
    return len(fitting)
