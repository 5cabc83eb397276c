"""What looks at the frames of a clip together gains where a single frame says too little, and only then."""

from __future__ import annotations

from functools import cache
from statistics import mean, stdev

import numpy as np
import pytest
import torch

from nas_attn.budget import Budget
from nas_attn.data import Dataset, synthetic_clips
from nas_attn.data.dataset import LabelledImages, assemble, pack
from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Placement
from nas_attn.training import Segmenter, initialise, score_images, train_run
from nas_attn.training.evaluation import pack_sets

FRAMES, SIDE = 4, 16
SEEDS = (0, 1, 2)
T_OF_TWO_DEGREES = 2.920  # one-sided, 95 %: Student's table


pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def covered() -> Dataset:
    """Discs that rest. Three of four frames show each as a grey cover; one shows its brightness, its class."""
    return assemble("covered", ("background", "bright", "dark"), *map(_discs, (48, 48, 1), range(3)))


def _discs(count: int, seed: int) -> LabelledImages:
    random, grid = np.random.default_rng(seed), np.arange(SIDE) + 0.5
    images, masks, names = [], [], []
    for clip in range(count):
        label, shown = int(random.integers(1, 3)), int(random.integers(FRAMES))
        radius = SIDE * random.uniform(0.2, 0.3)
        row, column = random.uniform(radius, SIDE - radius, 2)
        disc = np.hypot(grid[:, None] - row, grid - column) < radius
        for frame in range(FRAMES):
            contrast = 0.25 if frame != shown else {1: 0.5, 2: -0.25}[label]
            grey = 255 * (0.45 + contrast * disc + random.normal(0, 0.06, disc.shape))
            images.append(torch.from_numpy(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[None]))
            masks.append(torch.from_numpy((label * disc).astype(np.uint8)))
            names.append(f"{seed}-{clip}/{frame}")
    return pack(images, masks, names, [FRAMES] * count)


def most_of_single_frames(dataset: Dataset) -> float:
    """The IoU of who outlines each disc without a fault, knows its class where it shows, and guesses elsewhere.

    A share q of what is covered is called bright, whatever it is, for no single frame tells; q is the best one.
    """
    bright, dark = (float((dataset.val.masks == label).sum()) for label in (1, 2))
    seen, hidden = 1 / FRAMES, 1 - 1 / FRAMES
    return max(
        mean(
            (
                1.0,
                (seen + q * hidden) * bright / (bright + q * hidden * dark),
                (seen + (1 - q) * hidden) * dark / (dark + (1 - q) * hidden * bright),
            )
        )
        for q in np.linspace(0, 1, 101)
    )


def iou_of(
    dataset: Dataset, network: UNetConfig, places: tuple[str, ...], kind: str, steps: int, seed: int
) -> float:
    """Of the mean over the classes, after a training with a kind at some places and none elsewhere."""
    crop = dataset.val.masks.shape[-1]
    sets = pack_sets(dataset, torch.device("cpu"), FRAMES)
    spec, none = AttentionSpec(kind), AttentionSpec("none")
    placement = Placement(tuple((one, spec if str(one) in places else none) for one in network.locations))
    module = build_unet(network, placement)
    initialise(module, seed)
    train_run(module, sets.train, Budget(steps, crop, 4), seed)
    val = sets.val
    return score_images(Segmenter(module, val.mean, val.std), val, network.classes).iou


def assert_gain(gains: list[float], least: float) -> None:
    """A paired one-sided t test at 5 %, and a gain that is worth having."""
    assert mean(gains) > least, gains
    assert mean(gains) > T_OF_TWO_DEGREES * stdev(gains) / len(gains) ** 0.5, gains


SMALL = UNetConfig(1, 3, depth=2, base_channels=4, frames=FRAMES)
WIDER = UNetConfig(1, 3, depth=2, base_channels=8, frames=FRAMES)
FEW = ("bottleneck", "decoder.1")
EVERYWHERE = tuple(str(one) for one in SMALL.locations)


def test_gltr_tells_of_covered_frames_what_no_single_frame_shows() -> None:
    limit = most_of_single_frames(covered())

    assert limit == pytest.approx(0.63, abs=0.02)  # (1 + 2 * (1/4 + 3/8) / (1 + 3/8)) / 3 with as much of both
    assert iou_of(covered(), SMALL, FEW, "gltr", 100, seed=0) > limit + 0.2


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("kind", "places"), [("tam", EVERYWHERE), ("gltr", FEW)])
def test_what_looks_at_clips_gains_where_frames_are_covered(kind: str, places: tuple[str, ...]) -> None:
    plain, attended = (
        [iou_of(covered(), SMALL, places, one, 200, seed) for seed in SEEDS] for one in ("none", kind)
    )

    assert max(plain) < most_of_single_frames(covered()) + 0.03
    assert_gain([one - other for one, other in zip(attended, plain, strict=True)], least=0.2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_tam_tells_what_moves_from_what_rests() -> None:
    film = synthetic_clips(image_size=32, n_train=48, n_val=16, n_test=1)
    plain, attended = (
        [iou_of(film, WIDER, EVERYWHERE, kind, 150, seed) for seed in SEEDS] for kind in ("none", "tam")
    )

    assert_gain([one - other for one, other in zip(attended, plain, strict=True)], least=0.2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_gltr_does_not_tell_which_of_several_bodies_moves() -> None:
    """It adds the same at every position: where bodies of both sorts share a clip, that says nothing of either."""
    film = synthetic_clips(image_size=32, n_train=48, n_val=16, n_test=1)
    plain, attended = (iou_of(film, WIDER, EVERYWHERE, kind, 150, seed=0) for kind in ("none", "gltr"))

    assert attended < plain + 0.1
