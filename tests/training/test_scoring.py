"""Scoring: whole images at their true sizes, padding unseen."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.record import Score
from nas_attn.training import DeviceImages, Precision, Segmenter, initialise, score_images, segment_images

CPU = torch.device("cpu")
SIZES = ((16, 16), (20, 17), (16, 16), (31, 18), (20, 17), (16, 16))
CLASSES = 3


def images_of(sizes: tuple[tuple[int, int], ...], padding: int = 0) -> DeviceImages:
    """Random images and masks; what is beyond them is loud and, in the masks, 255."""
    random = np.random.default_rng(0)
    height, width = (max(side) + padding for side in zip(*sizes, strict=True))
    pixels = np.full((len(sizes), 2, height, width), 250, np.uint8)
    masks = np.full((len(sizes), height, width), 255, np.uint8)
    for index, (high, wide) in enumerate(sizes):
        pixels[index, :, :high, :wide] = random.integers(0, 120, (2, high, wide))
        masks[index, :high, :wide] = random.integers(0, CLASSES, (high, wide))
        masks[index, :3, :2] = 255
    heights, widths = zip(*sizes, strict=True)
    statistics = (60.0, 50.0), (30.0, 40.0)
    return DeviceImages.pack(
        torch.from_numpy(pixels), torch.from_numpy(masks), heights, widths, *statistics, device=CPU
    )


def score_of(module: nn.Module, images: DeviceImages, classes: int, precision: Precision) -> Score:
    return score_images(Segmenter(module, images.mean, images.std, precision=precision), images, classes)


def network() -> nn.Module:
    config = UNetConfig(in_channels=2, classes=CLASSES, depth=2, base_channels=4)
    module = build_unet(config, config.plain)
    initialise(module, 1)
    return module.eval()


def slow_ious(module: nn.Module, images: DeviceImages) -> list[float]:
    """One image at a time, one pixel class at a time, in NumPy."""
    intersections, unions = np.zeros(CLASSES), np.zeros(CLASSES)
    for index in range(len(images)):
        (image,), (mask,) = images.images_of([index])
        scaled = (image.double() - torch.tensor([[[60.0]], [[50.0]]])) / torch.tensor([[[30.0]], [[40.0]]])
        with torch.no_grad():
            predicted = module(scaled.float()[None])[0].numpy().argmax(0)
        truth = mask.numpy()
        for value in range(CLASSES):
            mine = (predicted == value) & (truth != 255)
            intersections[value] += (mine & (truth == value)).sum()
            unions[value] += (mine | (truth == value)).sum()
    return list(intersections / unions)


def test_images_of_several_sizes_are_scored_as_one_by_one() -> None:
    module, images = network(), images_of(SIZES)
    score = score_of(module, images, CLASSES, Precision())
    expected = slow_ious(module, images)

    assert score.iou_per_class == pytest.approx(expected, abs=1e-3)
    assert score.iou == pytest.approx(float(np.mean(expected)), abs=1e-3)


def test_counts_are_kept_for_each_image_in_the_order_of_the_set() -> None:
    module, images = network(), images_of(SIZES)
    counts = score_of(module, images, CLASSES, Precision()).counts
    assert counts is not None
    intersections, unions = counts.unpack()
    assert intersections.shape == (len(SIZES), CLASSES)
    for index in range(len(SIZES)):
        alone = score_of(module, picked(images, [index]), CLASSES, Precision())
        assert intersections[index] / unions[index] == pytest.approx(np.array(alone.iou_per_class), abs=1e-3)


def picked(images: DeviceImages, numbers: Sequence[int]) -> DeviceImages:
    """Some of the images, in that order."""
    shown = [images.images_of([number]) for number in numbers]
    heights, widths = zip(*(images.sizes[number] for number in numbers), strict=True)
    statistics = tuple(images.mean.tolist()), tuple(images.std.tolist())
    pixels, masks = [pixels[0] for pixels, _ in shown], [masks[0] for _, masks in shown]
    return DeviceImages.pack(pixels, masks, heights, widths, *statistics, device=CPU)


def test_padding_is_not_seen() -> None:
    module = network()
    one, other = (score_of(module, images_of(SIZES, padding), CLASSES, Precision()) for padding in (0, 13))

    assert one == other


@pytest.mark.parametrize("at_once", [1, 2**9, 2**20])
def test_how_many_images_share_a_batch_does_not_matter(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module, images = network(), images_of(SIZES)
    whole = score_of(module, images, CLASSES, Precision())
    scoring = importlib.import_module("nas_attn.training.scoring")
    monkeypatch.setattr(scoring, "_BATCH_PIXELS", at_once)

    assert score_of(module, images, CLASSES, Precision()).iou == pytest.approx(whole.iou, abs=1e-3)


def test_the_order_of_the_images_does_not_matter() -> None:
    module, images = network(), images_of(SIZES)
    turned = picked(images, range(len(SIZES) - 1, -1, -1))

    assert score_of(module, turned, CLASSES, Precision()).iou == pytest.approx(
        score_of(module, images, CLASSES, Precision()).iou, abs=1e-3
    )


class Truth(nn.Module):
    """Answers with what the first channel holds."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([-(x[:, 0] - value).abs() for value in range(CLASSES)], 1) * 100


def test_a_perfect_answer_scores_1_and_an_absent_class_is_left_out() -> None:
    masks = torch.tensor([[[0, 1], [1, 255]]], dtype=torch.uint8)
    images = DeviceImages.pack(masks.clamp(max=1)[:, None], masks, (2,), (2,), (0.0,), (1.0,), device=CPU)
    score = score_of(Truth().eval(), images, CLASSES, Precision())

    assert (score.iou, score.iou_per_class) == (1.0, (1.0, 1.0, None))
    assert score.loss < 1e-6


def test_the_loss_is_weighted_by_pixels() -> None:
    """Two sizes make two batches; each counts by its pixels."""
    module, images = network(), images_of(((16, 16), (32, 16)))
    both = score_of(module, images, CLASSES, Precision()).loss
    small, large = (score_of(module, picked(images, [index]), CLASSES, Precision()).loss for index in (0, 1))

    assert both == pytest.approx((small + 2 * large) / 3, rel=1e-5)


def test_bfloat16_scores_nearly_alike() -> None:
    module, images = network(), images_of(SIZES)
    precise = score_of(module, images, CLASSES, Precision())
    coarse = score_of(module, images, CLASSES, Precision(bfloat16=True, channels_last=True))

    assert coarse.iou == pytest.approx(precise.iou, abs=0.03)


def test_scoring_leaves_the_network_alone() -> None:
    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    score_of(module, images_of(SIZES), CLASSES, Precision())

    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


class Neighbours(nn.Module):
    """Answers with what the frames of a window show together; each must be its whole window of three."""

    def forward(self, x: Tensor) -> Tensor:
        windows = x.view(-1, 3, *x.shape[1:])
        together = (windows * torch.tensor([0.5, 1.0, -0.5]).view(1, 3, 1, 1, 1)).cumsum(1).flatten(0, 1)
        return torch.cat([together, together[:, :1] * together[:, 1:]], 1)


def test_clips_are_scored_in_windows_and_each_frame_once() -> None:
    """Clips of 3, 5 and 4 frames: two of them end with a window of which only some frames are new."""
    lengths, sizes = (3, 5, 4), ((10, 12),) * 3 + ((14, 9),) * 5 + ((10, 12),) * 4
    images = replace(images_of(sizes), clips=lengths, frames=3)
    shown = [(0, [0, 1, 2]), (3, [3, 4, 5]), (5, [6, 7]), (8, [8, 9, 10]), (9, [11])]
    intersections, unions = np.zeros((3, CLASSES)), np.zeros((3, CLASSES))
    for first, counted in shown:
        pixels, masks = images.images_of(range(first, first + 3))
        predicted = Neighbours()(images.normalise(pixels)).argmax(1).numpy()
        for frame in counted:
            truth, clip = masks[frame - first].numpy(), [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2][frame]
            for value in range(CLASSES):
                mine = (predicted[frame - first] == value) & (truth != 255)
                intersections[clip, value] += (mine & (truth == value)).sum()
                unions[clip, value] += (mine | (truth == value)).sum()
    score = score_of(Neighbours().eval(), images, CLASSES, Precision())
    assert score.counts is not None
    found = score.counts.unpack()

    np.testing.assert_array_equal(found[0], intersections)
    np.testing.assert_array_equal(found[1], unions)
    assert score.iou_per_class == pytest.approx(tuple(intersections.sum(0) / unions.sum(0)))


@pytest.mark.parametrize("world_size", [2, 3, 9])
def test_processes_share_the_images_without_gap_or_overlap(
    world_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, images = network(), images_of(SIZES)
    monkeypatch.setattr("nas_attn.training.scoring._BATCH_PIXELS", 1)
    segmenter = Segmenter(module, images.mean, images.std)
    found = [one for rank in range(world_size) for one in segment_images(segmenter, images, rank, world_size)]

    assert sorted(torch.cat([one.numbers for one in found]).tolist()) == list(range(len(SIZES)))
    for one in found:
        assert torch.equal(one.masks, images.images_of(one.numbers.tolist())[1])


def test_an_image_smaller_than_the_network_takes_is_scored_at_its_own_size() -> None:
    module, images = network(), images_of(((3, 10), (16, 16)))
    score = score_images(Segmenter(module, images.mean, images.std, min_image_size=4), images, CLASSES)
    intersections, unions = np.zeros(CLASSES), np.zeros(CLASSES)
    for index in range(2):
        (image,), (mask,) = images.images_of([index])
        scaled = (image.numpy() - [[[60.0]], [[50.0]]]) / [[[30.0]], [[40.0]]]
        padded = np.pad(scaled, ((0, 0), (0, max(0, 4 - mask.shape[0])), (0, 0)), mode="reflect")
        with torch.no_grad():
            logits = module(torch.from_numpy(padded.astype(np.float32))[None])[0]
        predicted, truth = logits.numpy().argmax(0)[: mask.shape[0]], mask.numpy()
        for value in range(CLASSES):
            mine = (predicted == value) & (truth != 255)
            intersections[value] += (mine & (truth == value)).sum()
            unions[value] += (mine | (truth == value)).sum()

    assert score.iou_per_class == pytest.approx(list(intersections / unions), abs=1e-3)


def large_images() -> DeviceImages:
    """One image above the 2048 pixels up to which images go through a network in one piece, and a small one."""
    return images_of(((2300, 40), (30, 40)))


def deep_network() -> nn.Module:
    """Four halvings, as the presets have."""
    config = UNetConfig(in_channels=2, classes=CLASSES, depth=4, base_channels=2)
    module = build_unet(config, config.plain)
    initialise(module, 3)
    return module.eval()


def test_a_large_image_is_judged_by_its_tiles_as_it_would_be_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The margin of 128 pixels is more than a U-Net of four halvings sees; sums are in another order: 1e-4."""
    module, images = deep_network(), large_images()
    segmenter = Segmenter(module, images.mean, images.std, 16)
    parts = list(segment_images(segmenter, images))
    tiled = score_images(segmenter, images, CLASSES)
    assert max(part.logits.shape[2] for part in parts) <= 1024

    monkeypatch.setattr("nas_attn.training.segmenter.WHOLE_UP_TO", 4096)
    (whole, *_) = (part for part in segment_images(segmenter, images) if part.masks.shape[1] == 2300)
    for part in parts[:-1]:
        torch.testing.assert_close(whole.logits[:, :, part.rows, part.columns], part.logits, rtol=0, atol=1e-4)
    assert sum(part.masks.numel() for part in parts) == 2300 * 40 + 30 * 40
    assert tiled.iou == pytest.approx(score_images(segmenter, images, CLASSES).iou, abs=1e-4)
