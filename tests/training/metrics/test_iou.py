"""The IoU against a loop over pixels, and its laws; what it counts against torchmetrics' confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra import numpy as hnp
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex

from nas_attn.errors import DataError, UsageError
from nas_attn.metric import MEAN_IOU, METRICS
from nas_attn.training.metrics import IntersectionOverUnion

CLASSES = 4


def iou_by_loop(labels: np.ndarray, masks: np.ndarray) -> tuple[float, tuple[float | None, ...]]:
    """The definition, one pixel after the other."""
    per_class: list[float | None] = []
    for index in range(CLASSES):
        both = either = 0
        for label, mask in zip(labels.ravel().tolist(), masks.ravel().tolist(), strict=True):
            if mask != 255:
                both += label == index and mask == index
                either += label == index or mask == index
        per_class.append(both / either if (masks == index).any() else None)
    found = [value for value in per_class if value is not None]
    return sum(found) / len(found), tuple(per_class)


def iou_of(*batches: tuple[np.ndarray, np.ndarray]) -> tuple[float, tuple[float | None, ...]]:
    metric = IntersectionOverUnion(CLASSES)
    for labels, masks in batches:
        metric.update(torch.from_numpy(labels), torch.from_numpy(masks))
    return metric.compute()


@st.composite
def label_and_mask_images(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two to four small images with at least one pixel that is not ignored."""
    shape = (draw(st.integers(2, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 4)))
    labels = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, CLASSES - 1)))
    masks = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([*range(CLASSES), 255])))
    masks[0, 0, 0] = draw(st.integers(0, CLASSES - 1))
    return labels, masks


@given(label_and_mask_images())
def test_iou_is_that_of_a_loop_over_all_pixels(images: tuple[np.ndarray, np.ndarray]) -> None:
    mean, per_class = iou_of(images)
    expected_mean, expected_per_class = iou_by_loop(*images)
    assert per_class == expected_per_class
    assert mean == pytest.approx(expected_mean)


@given(label_and_mask_images(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_neither_the_order_of_images_nor_their_batches_change_the_iou(
    images: tuple[np.ndarray, np.ndarray], random: object, size: int
) -> None:
    labels, masks = images
    order = list(range(len(labels)))
    random.shuffle(order)  # type: ignore[attr-defined]
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    assert iou_of(*((labels[part], masks[part]) for part in parts)) == iou_of(images)


@given(label_and_mask_images())
def test_a_perfect_prediction_scores_one(images: tuple[np.ndarray, np.ndarray]) -> None:
    _, masks = images
    perfect = np.where(masks == 255, 0, masks)
    mean, per_class = iou_of((perfect, masks))
    assert mean == 1
    assert set(per_class) <= {1.0, None}


@given(label_and_mask_images(), st.permutations(range(CLASSES)))
def test_renaming_the_classes_renames_their_ious(images: tuple[np.ndarray, np.ndarray], names: list[int]) -> None:
    labels, masks = images
    table = np.arange(256)
    table[:CLASSES] = names
    mean, per_class = iou_of((table[labels], table[masks]))
    old_mean, old_per_class = iou_of(images)
    assert mean == pytest.approx(old_mean)
    assert [per_class[name] for name in names] == list(old_per_class)


def test_a_class_that_masks_lack_is_no_part_of_the_mean_but_its_pixels_cost_the_others() -> None:
    labels, masks = np.array([[[0, 1]]]), np.array([[[0, 0]]])
    assert iou_of((labels, masks)) == (0.5, (0.5, None, None, None))


@given(label_and_mask_images(), label_and_mask_images())
def test_the_same_classes_count_whatever_is_predicted(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> None:
    """Two networks are judged on the same masks."""
    masks = one[1]
    labels = np.resize(other[0], masks.shape)
    first, second = (iou_of((each, masks))[1] for each in (one[0], labels))
    counted = [{index for index, iou in enumerate(ious) if iou is not None} for ious in (first, second)]
    assert counted[0] == counted[1] == set(np.unique(masks).tolist()) - {255}


def test_an_ignored_pixel_excuses_its_prediction() -> None:
    labels, masks = np.array([[[0, 3]]]), np.array([[[0, 255]]])
    assert iou_of((labels, masks)) == (1.0, (1.0, None, None, None))


def test_it_agrees_with_torchmetrics_where_all_classes_occur() -> None:
    generator = torch.Generator().manual_seed(0)
    labels, masks = (torch.randint(0, CLASSES, (3, 16, 16), generator=generator) for _ in range(2))
    masks[torch.rand(masks.shape, generator=generator) < 0.2] = 255
    metric = IntersectionOverUnion(CLASSES)
    metric.update(labels, masks)
    reference = MulticlassJaccardIndex(CLASSES, average=None, ignore_index=255)
    assert metric.compute()[1] == pytest.approx(reference(labels, masks).tolist())


@pytest.mark.parametrize("images", [0, 1], ids=["no image", "one image, all ignored"])
def test_no_pixel_to_judge_is_an_error(images: int) -> None:
    metric = IntersectionOverUnion(CLASSES)
    metric.update(torch.zeros(images, 2, 2, dtype=torch.long), torch.full((images, 2, 2), 255))
    with pytest.raises(DataError, match=r"no pixel to judge: .* are 255 \(ignored\)"):
        metric.compute()


def test_no_update_is_an_error() -> None:
    with pytest.raises(DataError, match="no pixel to judge"):
        IntersectionOverUnion(CLASSES).compute()


def test_it_goes_on_after_compute_and_starts_anew_after_reset() -> None:
    right, wrong = (np.array([[[0]]]), np.array([[[0]]])), (np.array([[[1]]]), np.array([[[0]]]))
    metric = IntersectionOverUnion(CLASSES)
    metric.update(*map(torch.from_numpy, right))
    assert metric.compute()[0] == 1
    metric.update(*map(torch.from_numpy, wrong))
    assert metric.compute()[0] == 0.5
    metric.reset()
    metric.update(*map(torch.from_numpy, right))
    assert metric.compute()[0] == 1


@pytest.mark.parametrize("classes", [0, 256])
def test_the_number_of_classes_has_a_range(classes: int) -> None:
    with pytest.raises(UsageError, match=f"classes is {classes}; it must be a whole number from 1 to 255"):
        IntersectionOverUnion(classes)


def test_the_definition_says_what_is_pooled_counted_and_left_out() -> None:
    for word in ("pooled", "background included", "ignored", "classes that occur"):
        assert word in METRICS[MEAN_IOU].definition


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def images(classes: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    labels, masks = (torch.randint(0, classes, (2, 9, 7), generator=generator) for _ in range(2))
    masks[torch.rand(masks.shape, generator=generator) < 0.3] = 255
    return labels.to(device), masks.to(device)


def counted(labels: Tensor, masks: Tensor, classes: int) -> Tensor:
    """Labelled, predicted and rightly predicted pixels of each class, (3, K)."""
    iou = IntersectionOverUnion(classes)
    iou.update(labels, masks)
    return apart(iou)[0]


def apart(iou: IntersectionOverUnion) -> Tensor:
    """The same of each image, (N, 3, K)."""
    found = iou.overlaps()
    return torch.from_numpy(np.stack([found.labelled, found.predicted, found.both], 1))


@pytest.mark.parametrize("classes", [2, 5, 21])
def test_counts_are_those_of_torchmetrics(classes: int) -> None:
    labels, masks = images(classes)
    matrix = MulticlassConfusionMatrix(classes, ignore_index=255)(labels, masks)
    expected = torch.stack([matrix.sum(1), matrix.sum(0), matrix.diagonal()])
    assert torch.equal(counted(labels, masks, classes), expected)


@pytest.mark.usefixtures("deterministic")
def test_counts_are_the_same_with_deterministic_algorithms() -> None:
    labels, masks = images(3)
    assert counted(labels, masks, 3)[:2].sum() == 2 * (masks != 255).sum()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.usefixtures("deterministic")
def test_counts_on_a_gpu_are_those_of_the_cpu() -> None:
    assert torch.equal(counted(*images(5, "cuda"), 5), counted(*images(5), 5))


def test_masks_of_bytes_and_labels_of_int32_can_be_counted() -> None:
    labels, masks = images(3)
    assert torch.equal(counted(labels.to(torch.int32), masks.to(torch.uint8), 3), counted(labels, masks, 3))


@pytest.mark.parametrize(
    ("label", "mask"), [(0, 7), (3, 0), (-1, 0), (0, -1)], ids=["mask 7", "label 3", "label -1", "mask -1"]
)
def test_a_value_that_is_no_class_is_an_error(label: int, mask: int) -> None:
    with pytest.raises(
        DataError, match=r"1 pixels hold a value that is not a class; labels must be 0 to 2, masks 0 to 2 or 255"
    ):
        counted(torch.tensor([[[label, 0]]]), torch.tensor([[[mask, 0]]]), 3)


def test_shapes_must_agree() -> None:
    with pytest.raises(UsageError, match=r"shape \(1, 2, 2\) and masks \(2, 2\); both must be \(N, H, W\)"):
        counted(torch.zeros(1, 2, 2, dtype=torch.long), torch.zeros(2, 2, dtype=torch.long), 2)


def test_scores_are_no_labels() -> None:
    with pytest.raises(
        UsageError, match=r"labels are torch.float32; they must be whole numbers: classes, not scores"
    ):
        counted(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.long), 2)


def test_images_are_counted_apart() -> None:
    labels, masks = images(4)
    iou = IntersectionOverUnion(4, images=3)
    iou.update(labels, masks, torch.tensor([2, 0]))
    found = apart(iou)
    assert torch.equal(found[2], counted(labels[:1], masks[:1], 4))
    assert torch.equal(found[0], counted(labels[1:], masks[1:], 4))
    assert found[1].sum() == 0
