"""Segmenting images with trained weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nas_attn.architecture import Architecture
from nas_attn.clips import covering_windows
from nas_attn.data import read_image
from nas_attn.data.picture import as_tensor
from nas_attn.data.problem import printable
from nas_attn.data.shrink import shrink_image
from nas_attn.errors import DataError, ExportError
from nas_attn.models.build import build_network
from nas_attn.models.catalogue import KINDS
from nas_attn.training.full.overlay import draw_legend, draw_overlapping, draw_overlay
from nas_attn.training.full.plan import FitSettings, choose_hardware
from nas_attn.training.full.prediction_files import (
    Target,
    class_folders,
    find_targets,
    legend_in,
    make_folders,
    save_png,
)
from nas_attn.training.full.run_folder import architecture_id
from nas_attn.training.full.weights import WeightsInfo, bits_of, load_weights
from nas_attn.training.overlap import planes
from nas_attn.training.segmenter import Segmenter, tile_margin


@dataclass(frozen=True)
class Prediction:
    """The files and class shares of one segmented image.

    Args:
        image: the file.
        mask: the file with the class index of each pixel (8-bit PNG, as large as the image), or the first of
            ``masks``.
        overlay: the file with the classes drawn over the image.
        shares: share of the pixels, for each class.
        masks: if classes may overlap, one file per class, 255 where the class is present and 0 elsewhere; else
            empty.
    """

    image: Path
    mask: Path
    overlay: Path
    shares: tuple[float, ...]
    masks: tuple[Path, ...] = ()


@dataclass(frozen=True)
class PredictionReport:
    """The predictions of some images, and the problems with the others.

    Args:
        classes: names in the order of their indices.
        predictions: of the images that could be segmented.
        problems: one line for each image that could not.
        multi_label: whether the classes may overlap, so that each has its own mask.
        n_clips: number of clips that the images are from; None if each image was segmented by itself.
    """

    classes: tuple[str, ...]
    predictions: tuple[Prediction, ...]
    problems: tuple[str, ...]
    n_clips: int | None = None
    multi_label: bool = False


def predict(
    architecture: Architecture,
    weights: Path,
    images: Sequence[Path],
    output: Path,
    *,
    tile: int | None = None,
    accelerator: str = "auto",
    report: Callable[[int, int], None] = lambda done, total: None,
) -> PredictionReport:
    """Segment images, and write a mask and an overlay of each.

    An image that cannot be read or does not fit the network does not stop the others.

    Args:
        architecture: that of the weights.
        weights: written by ``train``; they say how images are normalised and shrunk.
        images: files and folders. If the architecture looks at several frames of a clip together, they are the
            folders of clips, and predictions go into masks/CLIP/ and overlays/CLIP/.
        output: folder for masks/, overlays/ and legend.png; only files made by a prediction are overwritten.
        tile: side of overlapping tiles, in pixels; None for whole images, and tiles of 1024 pixels if a side is
            longer than 2048.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
        report: called with the number of images that are done and the number of all images.
    Raises:
        UsageError: a path or the tile is wrong; nothing was written then.
        ExportError: the weights cannot be used, or not with this architecture.
        TrainingError: the accelerator is not available.
    """
    if tile is not None:
        tile_margin(tile, architecture.network.min_image_size)
    frames = frames_together(architecture)
    of_classes = class_folders(architecture.classes) if architecture.multi_label else ()
    targets = find_targets(images, output, frames, of_classes)
    n_images = sum(map(len, targets))
    device = choose_hardware(FitSettings(accelerator=accelerator)).device
    segmenter, info = _load(architecture, weights, device)
    make_folders(output, chain.from_iterable(targets))
    predictions: list[Prediction] = []
    problems: list[str] = []
    with warnings.catch_warnings():
        # As in the reader of data sets: damage raises errors, and so does a decompression bomb.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        done = 0
        for clip in targets:
            try:
                for window in covering_windows([len(clip)], frames):
                    shown = clip[window.first : window.first + frames]
                    predictions += _predicted(shown, window.seen, segmenter, info, tile)
            except DataError as error:
                problems += error.problems
            done += len(clip)
            report(done, n_images)
    save_png(draw_legend(info.classes, multi_label=info.multi_label), legend_in(output))
    n_clips = len({prediction.mask.parent for prediction in predictions}) if frames > 1 else None
    return PredictionReport(info.classes, tuple(predictions), tuple(problems), n_clips, info.multi_label)


def frames_together(architecture: Architecture) -> int:
    """Number of images that the network must get together; 1 if no attention looks at several."""
    needed = any(KINDS[spec.kind].kind.needs_clip for _, spec in architecture.placement)
    return architecture.network.frames if needed else 1


def _load(architecture: Architecture, weights: Path, device: torch.device) -> tuple[Segmenter, WeightsInfo]:
    module = build_network(architecture.network, architecture.placement)
    info = load_weights(weights, module, architecture_id(architecture))
    network = architecture.network
    if (len(info.classes), len(info.mean)) != (network.classes, network.in_channels):
        raise ExportError(
            f"{printable(weights)}: described for {len(info.classes)} classes and {len(info.mean)} channels, and "
            f"the architecture has {network.classes} and {network.in_channels}; train again, or give another copy"
        )
    if info.multi_label != architecture.multi_label:
        raise ExportError(
            f"{printable(weights)}: architecture and weights differ in multi_label, whether classes may overlap; "
            "give the architecture.yaml that lies beside the weights"
        )
    module.eval().to(device)
    mean, std = torch.tensor(info.mean, device=device), torch.tensor(info.std, device=device)
    least = architecture.network.min_image_size
    return Segmenter(module, mean, std, least, multi_label=info.multi_label), info


def _predicted(
    targets: Sequence[Target], seen: int, segmenter: Segmenter, info: WeightsInfo, tile: int | None
) -> list[Prediction]:
    """Segment images that go through the network together; leave out the first ``seen``, which already have masks.

    Raises DataError if they cannot be segmented.
    """
    images = [_read(target.image, info) for target in targets]
    for target, image in zip(targets, images, strict=True):
        if image.shape != images[0].shape:
            raise DataError(f"{printable(target.image)}: has another size than the frames of its clip before it")
    found = _labels(targets[0].image, images, segmenter, info, tile)
    shown = zip(targets[seen:], images[seen:], found[seen:], strict=True)
    return [_written(target, image, labels, info) for target, image, labels in shown]


def _read(path: Path, info: WeightsInfo) -> Tensor:
    """An image, read as the training images were, (C, H, W), at the size of the file.

    Raises DataError if it cannot be read, or has another number of bits than the training images.
    """
    pixels = read_image(path, len(info.mean))
    if (given := bits_of(pixels)) != info.bits:
        raise DataError(
            f"{printable(path)}: has {given} bits a channel, the training images had {info.bits}; "
            "convert the image"
        )
    return pixels


def _labels(
    path: Path, images: Sequence[Tensor], segmenter: Segmenter, info: WeightsInfo, tile: int | None
) -> Tensor:
    """Labels (N, H, W) at the size of the files; larger images than those of the training are shrunk first."""
    height, width = images[0].shape[1:]
    pixels = torch.stack([_reduced(image, info.longest_side) for image in images])
    try:
        return segmenter.labels(pixels, tile=tile, height=height, width=width)
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise DataError(
            f"{printable(path)}: {width}x{height} pixels do not fit into the memory of the device; give a smaller "
            "--tile, such as 512"
        ) from None


def _reduced(pixels: Tensor, longest_side: int | None) -> Tensor:
    values = pixels.numpy() if bits_of(pixels) == 8 else pixels.numpy().astype(np.uint16)
    return as_tensor(shrink_image(values, longest_side))


def _written(target: Target, image: Tensor, labels: Tensor, info: WeightsInfo) -> Prediction:
    if info.multi_label:
        return _written_apart(target, image, labels, len(info.classes))
    save_png(Image.fromarray(labels.numpy()), target.mask)
    save_png(draw_overlay(image, labels), target.overlay)
    counts = torch.bincount(labels.flatten().long(), minlength=len(info.classes))
    return Prediction(target.image, target.mask, target.overlay, tuple((counts / labels.numel()).tolist()))


def _written_apart(target: Target, image: Tensor, codes: Tensor, classes: int) -> Prediction:
    found = planes(codes[None], classes)[0]
    for path, plane in zip(target.masks, found, strict=True):
        save_png(Image.fromarray((plane * 255).numpy()), path)
    save_png(draw_overlapping(image, found > 0), target.overlay)
    shares = tuple(found.double().mean((1, 2)).tolist())
    return Prediction(target.image, target.mask, target.overlay, shares, target.masks)
