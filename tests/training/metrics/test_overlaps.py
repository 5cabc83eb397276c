"""Counted overlaps against torchmetrics' confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from nas_attn.errors import DataError, UsageError
from nas_attn.training.metrics.overlaps import OverlapCounts


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
    counts = OverlapCounts(classes)
    counts.update(labels, masks)
    return counts.compute()[0]


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
        DataError, match=r"1 pixels hold a value that is no class; labels must be 0 to 2, masks 0 to 2 or 255"
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
    counts = OverlapCounts(4, images=3)
    counts.update(labels, masks, torch.tensor([2, 0]))
    apart = counts.compute()
    assert torch.equal(apart[2], counted(labels[:1], masks[:1], 4))
    assert torch.equal(apart[0], counted(labels[1:], masks[1:], 4))
    assert apart[1].sum() == 0
