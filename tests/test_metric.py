"""Every metric against a loop over pixels, and what each leaves out."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from nas_attn.counts import ImageCounts
from nas_attn.metric import METRICS, Metric, Overlaps, all_metrics, metric_value

CLASSES = 3


def overlaps_of(labels: np.ndarray, masks: np.ndarray) -> Overlaps:
    """Counted class by class."""
    valid = masks != 255
    labelled = np.stack([(masks == k).sum((1, 2)) for k in range(CLASSES)], 1)
    predicted = np.stack([(valid & (labels == k)).sum((1, 2)) for k in range(CLASSES)], 1)
    both = np.stack([((masks == k) & (labels == k)).sum((1, 2)) for k in range(CLASSES)], 1)
    return Overlaps(labelled, predicted, both)


def by_loop(metric: Metric, labels: np.ndarray, masks: np.ndarray) -> float | None:
    """The definition, one pixel after the other."""
    if metric.per_image:
        alone = Metric("", dice=metric.dice, foreground=metric.foreground)
        values = [by_loop(alone, labels[i : i + 1], masks[i : i + 1]) for i in range(len(masks))]
    else:
        values = []
        for k in range(1 if metric.foreground else 0, CLASSES):
            true = said = both = 0
            for label, mask in zip(labels.ravel().tolist(), masks.ravel().tolist(), strict=True):
                true += mask == k
                said += mask != 255 and label == k
                both += mask == label == k
            value = 2 * both / max(1, true + said) if metric.dice else both / max(1, true + said - both)
            values.append(value if true else None)
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


@st.composite
def segmentations(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    labels = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, CLASSES - 1)))
    return labels, draw(hnp.arrays(np.int64, shape, elements=st.sampled_from([*range(CLASSES), 255])))


@pytest.mark.parametrize("name", METRICS)
@given(images=segmentations())
def test_a_metric_is_that_of_a_loop_over_pixels(name: str, images: tuple[np.ndarray, np.ndarray]) -> None:
    found = metric_value(METRICS[name], overlaps_of(*images))
    assert found == pytest.approx(by_loop(METRICS[name], *images), abs=1e-12)


def test_33_false_pixels_of_an_absent_class_cost_what_they_are_worth() -> None:
    """Of 5,120 pixels of two classes: 5,120 - 33 are right, and the third class is not part of the mean."""
    masks = np.repeat([0, 1], [2600, 2520])[None, :, None]
    labels = masks.copy()
    labels[0, :33] = 2
    found = all_metrics(overlaps_of(labels, masks))
    assert found["mean-iou"] == pytest.approx((2567 / 2600 + 1) / 2)
    assert found["foreground-iou"] == 1


def test_images_without_foreground_are_no_part_of_the_foreground_per_image() -> None:
    masks = np.array([[[0, 0]], [[0, 1]]])
    labels = np.array([[[1, 1]], [[0, 1]]])
    found = all_metrics(overlaps_of(labels, masks))
    assert found["foreground-iou-per-image"] == 1
    assert found["foreground-iou"] == pytest.approx(1 / 3)


def test_no_class_to_judge_is_no_value() -> None:
    found = all_metrics(overlaps_of(np.zeros((2, 1, 1), int), np.zeros((2, 1, 1), int)))
    lacking = {name for name, value in found.items() if value is None}
    assert lacking == {"foreground-iou", "foreground-iou-per-image"}


@given(segmentations())
def test_kept_counts_give_back_the_metrics_per_image(images: tuple[np.ndarray, np.ndarray]) -> None:
    overlaps, number = overlaps_of(*images), len(images[0])
    group_of = np.arange(number) * 2 // number if number > 1 else np.zeros(1, int)
    counts = ImageCounts.of_overlaps(overlaps, group_of)
    for name, metric in METRICS.items():
        if metric.per_image and (value := metric_value(metric, overlaps)) is not None:
            sums, numbers = counts.unpack_per_image(name)
            assert sums.sum() / numbers.sum() == pytest.approx(value, rel=1e-5)


def test_kept_counts_hold_nothing_of_a_class_that_masks_lack() -> None:
    overlaps = overlaps_of(np.array([[[2, 0]], [[1, 0]]]), np.array([[[0, 0]], [[1, 0]]]))
    _, unions = ImageCounts.of_overlaps(overlaps, np.arange(2)).unpack()
    assert unions[:, 2].sum() == 0


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_definition_says_what_is_pooled_counted_and_left_out(metric: Metric) -> None:
    assert ("image by image" if metric.per_image else "all images pooled") in metric.definition
    assert "occur in" in metric.definition
    assert "ignored pixels (255)" in metric.definition
    assert metric.definition.startswith("Dice of" if metric.dice else "IoU of")
