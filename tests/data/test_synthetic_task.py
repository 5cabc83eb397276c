"""The built-in tasks: what the whole image tells and what a part of it tells, and what a U-Net makes of it."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean, stdev

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import label

from nas_attn.budget import Budget
from nas_attn.data import Dataset, LabelledImages, synthetic, synthetic_null
from nas_attn.errors import DataError
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import Location, Placement
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.training import Recipe
from nas_attn.training.evaluation import DataSource, TrainingEvaluator

FEW = {"image_size": 64, "n_train": 96, "n_val": 2, "n_test": 2}
NEAR = 12
"""Pixels around a body that count as near it."""
Make = Callable[..., Dataset]


def hues(images: LabelledImages) -> NDArray[np.float64]:
    """What red has more than blue, (n, H, W)."""
    pixels: NDArray[np.float64] = images.pixels.numpy().astype(float)
    return pixels[:, 0] - pixels[:, 2]


def told(images: LabelledImages, ground_of: Callable[..., float]) -> float:
    """Share of the bodies whose class their hue tells, less that of some ground, by the best threshold."""
    found, labels = [], []
    for hue, mask in zip(hues(images), images.masks.numpy(), strict=True):
        for one in (1, 2):
            bodies, number = label(mask == one)
            for body in range(1, number + 1):
                inside = bodies == body
                found.append(hue[inside].mean() - ground_of(hue, mask == 0, inside))
                labels.append(one)
    order = np.argsort(found)
    cold_below = np.cumsum(np.array(labels)[order] == 2)
    warm_below = np.cumsum(np.array(labels)[order] == 1)
    right = cold_below + (warm_below[-1] - warm_below)
    return float(right.max() / len(labels))


def none(hue: NDArray[np.float64], ground: NDArray[np.bool_], body: NDArray[np.bool_]) -> float:
    return 0.0


def whole(hue: NDArray[np.float64], ground: NDArray[np.bool_], body: NDArray[np.bool_]) -> float:
    return float(hue[ground].mean())


def near(hue: NDArray[np.float64], ground: NDArray[np.bool_], body: NDArray[np.bool_]) -> float:
    rows, columns = np.nonzero(body)
    window = np.zeros_like(ground)
    window[max(0, rows.min() - NEAR) : rows.max() + NEAR, max(0, columns.min() - NEAR) : columns.max() + NEAR] = (
        True
    )
    return float(hue[ground & window].mean())


@pytest.mark.parametrize("make", [synthetic, synthetic_null])
def test_the_same_seed_gives_the_same_images_and_more_of_them_change_none(make: Make) -> None:
    first, more = make(**FEW), make(**{**FEW, "n_train": 99})
    assert make(**FEW).fingerprint == first.fingerprint
    assert make(**FEW, seed=1).fingerprint != first.fingerprint
    assert torch.equal(more.train.pixels[: len(first.train)], first.train.pixels)
    assert torch.equal(more.train.masks[: len(first.train)], first.train.masks)


def test_the_tasks_differ_in_their_light_alone() -> None:
    lit, unlit = synthetic(**FEW).train, synthetic_null(**FEW).train
    assert torch.equal(lit.masks, unlit.masks)
    assert not torch.equal(lit.pixels, unlit.pixels)
    assert torch.equal(lit.pixels[:, 1], unlit.pixels[:, 1]), "a hue does not touch green"


@pytest.mark.parametrize("size", [16, 33, 64, 100])
def test_any_size_from_16_pixels_is_possible(size: int) -> None:
    images = synthetic(image_size=size, n_train=1, n_val=1, n_test=1).train
    assert images.pixels.shape == (1, 3, size, size)
    assert images.pixels.dtype == images.masks.dtype == torch.uint8


def test_every_class_has_a_share_worth_learning() -> None:
    masks = synthetic(**FEW).train.masks
    shares = torch.bincount(masks.flatten().long()) / masks.numel()
    assert shares[0] >= 0.5
    assert shares.min() >= 0.1


def test_the_whole_image_tells_the_class_and_a_part_of_it_does_not() -> None:
    """What is planted, without any network: less the mean ground of the image, a hue tells warm from cold."""
    images = synthetic(**FEW).train
    assert told(images, whole) > 0.97
    assert told(images, none) < 0.9
    assert told(images, near) < 0.9


def test_without_light_there_is_nothing_to_tell() -> None:
    assert told(synthetic_null(**FEW).train, none) > 0.99


def test_what_is_wrong_is_named_together() -> None:
    with pytest.raises(DataError) as caught:
        synthetic_null(image_size=8, n_val=0)
    assert caught.value.problems == (
        "synthetic-null: image_size is 8; it must be a whole number of at least 16",
        "synthetic-null: n_val is 0; it must be a whole number of at least 1",
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_u_net_needs_global_pooling_before_its_last_level_and_nothing_else() -> None:
    """Three points or more, and six times what a paired difference scatters by; the gate, which looks at one place
    at a time, and pooling after which nothing comes are useless."""
    gains = gained(
        "synthetic", {"eca at encoder.0": ("eca", 0), "se at decoder.0": ("se", 5), "gate": ("gate", 3)}
    )
    best, late, gate = gains.values()
    assert fmean(best) > max(0.03, 6 * stdev(best))
    assert abs(fmean(late)) < fmean(best) / 4
    assert abs(fmean(gate)) < fmean(best) / 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_without_light_no_attention_helps() -> None:
    (gains,) = gained("synthetic-null", {"eca at encoder.0": ("eca", 0)}).values()
    assert abs(fmean(gains)) < 0.005


def gained(task: str, placements: dict[str, tuple[str, int]]) -> dict[str, list[float]]:
    """Paired differences of IoU to the baseline, three seeds, by the preset of the CPU."""
    preset = CPU_SYNTHETIC
    source = DataSource(image_size=preset.image_size, n_train=preset.n_train, n_val=preset.n_val, task=task)
    network = UNetConfig(3, 3, preset.depth, preset.base_channels)
    budget = Budget(preset.steps, preset.image_size, preset.batch_size)
    evaluator = TrainingEvaluator(network, source, recipe=Recipe())
    locations: tuple[Location, ...] = network.locations

    def iou(placement: Placement, seed: int) -> float:
        return evaluator.score(evaluator.trained(placement, budget, seed)).iou

    plain = [iou(network.plain, seed) for seed in range(3)]
    placed = {
        name: network.plain.replace(locations[at], catalogue()[kind].spec({}))
        for name, (kind, at) in placements.items()
    }
    return {name: [iou(placement, seed) - plain[seed] for seed in range(3)] for name, placement in placed.items()}
