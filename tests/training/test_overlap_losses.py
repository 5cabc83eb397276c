"""Losses, counts and crops of classes that may overlap, against other libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.classification import multilabel_jaccard_index

from nas_attn.data.overlapping import bit_of
from nas_attn.losses import BCE_DICE, loss_problem
from nas_attn.metric import METRICS, all_metrics
from nas_attn.training import DeviceImages, ModuleHooks, build_loss, overlap_counts
from nas_attn.training.class_frequencies import balanced
from nas_attn.training.foreground import centre_on_foreground
from nas_attn.training.metrics import IntersectionOverUnion
from nas_attn.training.overlap import answers, dtype_of, planes

CPU = torch.device("cpu")


def drawn(k: int, ignored: float = 0.0, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, truth (2, K, 7, 9) and the same as codes."""
    random = np.random.default_rng(seed)
    truth = random.random((2, k, 7, 9)) < 0.4
    codes = sum(truth[:, index].astype(np.int64) << bit_of(index) for index in range(k))
    codes = np.where(random.random(codes.shape) < ignored, 255, codes)
    logits = torch.from_numpy(2 * random.standard_normal(truth.shape)).float()
    return logits, torch.from_numpy(truth).float(), torch.from_numpy(codes).to(dtype_of(k))


def judged(name: str, logits: Tensor, codes: Tensor, weights: tuple[float, ...] = ()) -> float:
    return build_loss(name, weights, CPU, multi_label=True)(logits, codes).item()


@pytest.mark.parametrize("k", [2, 7, 9, 30])
def test_planes_are_what_was_coded(k: int) -> None:
    _, truth, codes = drawn(k, ignored=0.2)
    found, labelled = planes(codes, k), (codes != 255)[:, None].expand_as(truth)

    assert torch.equal(found[labelled].float(), truth[labelled])
    assert (found[~labelled] == 255).all()


@pytest.mark.parametrize("k", [3, 9])
def test_binary_cross_entropy_is_that_of_torch(k: int) -> None:
    logits, truth, codes = drawn(k)

    theirs = torch.nn.BCEWithLogitsLoss()(logits, truth).item()
    assert judged("bce", logits, codes) == pytest.approx(theirs, rel=1e-5)


def test_dice_and_tversky_are_those_of_other_libraries() -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    monai = pytest.importorskip("monai.losses")
    logits, truth, codes = drawn(3)

    dice = monai.DiceLoss(sigmoid=True, batch=True, smooth_nr=1, smooth_dr=1)(logits, truth).item()
    assert judged("dice", logits, codes) == pytest.approx(dice, rel=1e-5)
    tversky = monai.TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7, smooth_nr=0.5, smooth_dr=0.5, batch=True)
    assert judged("tversky", logits, codes) == pytest.approx(tversky(logits, truth).item(), rel=1e-5)
    focal = smp.losses.FocalLoss("multilabel", gamma=2.0)(logits, truth).item()
    assert judged("focal", logits, codes) == pytest.approx(focal, rel=1e-5)
    assert judged(BCE_DICE, logits, codes) == pytest.approx(dice + judged("bce", logits, codes), rel=1e-5)


@pytest.mark.parametrize("name", ["bce", "dice", "focal", "tversky", BCE_DICE])
def test_ignored_pixels_and_those_without_any_change_nothing(name: str) -> None:
    logits, _, codes = drawn(3, ignored=0.4)
    changed = torch.where((codes == 255)[:, None], 50.0, logits)

    assert judged(name, changed, codes) == pytest.approx(judged(name, logits, codes))
    assert judged(name, logits, torch.full_like(codes, 255)) == 0
    assert judged(name, logits, codes, (1.0, 1.0, 9.0)) != judged(name, logits, codes)


@pytest.mark.parametrize("name", ["bce", "dice", "focal", "tversky", BCE_DICE])
def test_no_loss_reads_a_value_back_so_that_a_graph_can_hold_it(name: str) -> None:
    meta = torch.device("meta")
    logits = torch.zeros(2, 3, 8, 8, device=meta, requires_grad=True)
    loss = build_loss(name, (1.0, 2.0, 3.0), meta, multi_label=True)
    loss(logits, torch.zeros(2, 8, 8, dtype=torch.uint8, device=meta)).backward()

    assert logits.grad is not None


@pytest.mark.parametrize("k", [3, 9])
def test_iou_is_that_of_torchmetrics(k: int) -> None:
    logits, truth, codes = drawn(k)
    iou = IntersectionOverUnion(k, 2, multi_label=True)
    for number in range(2):  # image by image, as scoring does it
        one = slice(number, number + 1)
        iou.update(answers(logits[one], True), codes[one], torch.tensor([number]))

    theirs = multilabel_jaccard_index(logits.sigmoid(), truth.int(), num_labels=k, average=None)
    mean, per_class = iou.compute()
    assert per_class == pytest.approx(theirs.tolist(), rel=1e-5)
    metrics = all_metrics(iou.overlaps())
    assert metrics["mean-iou"] == metrics["foreground-iou"] == pytest.approx(mean)
    dice = [2 * one / (1 + one) for one in theirs.tolist()]
    assert metrics["mean-dice"] == pytest.approx(np.mean(dice), rel=1e-5)


def test_ignored_pixels_and_absent_classes_are_left_out_of_the_iou() -> None:
    codes = torch.tensor([[[0b01, 0b01, 255, 0]]], dtype=torch.uint8)
    found = torch.tensor([[[0b01, 0b00, 0b11, 0b10]]], dtype=torch.uint8)
    iou = IntersectionOverUnion(2, multi_label=True)
    iou.update(found, codes)

    assert iou.compute() == (0.5, (0.5, None))


def test_a_foreground_metric_is_the_mean_over_all_classes() -> None:
    metric = METRICS["foreground-iou-per-image"].of(True)

    assert metric.name == "mean-iou-per-image"
    assert "they may overlap" in metric.definition
    assert "background" not in metric.definition


def test_weights_by_frequency_count_pixels_of_several_classes_once() -> None:
    codes = torch.tensor([0b11, 0b01, 0, 255], dtype=torch.uint8)
    counts = overlap_counts([codes])

    assert counts[[0, 1, 255]].tolist() == [2, 1, 1]
    raw = [1 / np.log(1.02 + share) for share in (2 / 3, 1 / 3)]
    assert balanced(counts, 2, 3) == pytest.approx([one / np.mean(raw) for one in raw], rel=1e-3)


def test_crops_are_centred_on_any_class_the_first_included() -> None:
    codes = torch.zeros(64, 64, dtype=torch.uint8)
    codes[50, 40] = 0b01
    ones = (1.0, 1.0, 1.0)
    pixels = torch.zeros(3, 64, 64, dtype=torch.uint8)
    images = DeviceImages.pack([pixels], [codes], (64,), (64,), ones, ones, device=CPU, multi_label=True)
    draws = centre_on_foreground(images, torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, 3, 6), 16, 1.0, 0)

    tops = (draws[..., 0] * 49).long()
    assert (tops == 42).all()


def test_modules_with_a_loss_of_their_own_are_given_a_plane_for_each_class() -> None:
    given = []

    class Asking(torch.nn.Module):
        def own_loss(self, masks: Tensor, scores: Tensor) -> Tensor:
            given.extend([masks, scores])
            return scores.sum() * 0

    logits, truth, codes = drawn(3)
    loss = build_loss(BCE_DICE, (), CPU, multi_label=True)
    ModuleHooks(Asking(), 1, 0, loss, multi_label=True).loss(logits, codes)

    masks, scores = given
    assert torch.equal(masks.float(), truth)
    probability = logits.sigmoid()
    dice = (2 * (probability * truth).sum((2, 3)) + 1) / ((probability + truth).sum((2, 3)) + 1)
    assert scores.tolist() == pytest.approx(dice.mean(1).tolist(), rel=1e-5)


def test_a_loss_that_does_not_suit_the_masks_is_refused_with_the_one_that_does() -> None:
    assert "take bce+dice" in str(loss_problem("ce+dice", True))
    assert "take ce," in str(loss_problem("bce", False))
    assert loss_problem("dice", True) is None
    assert loss_problem("focal", False) is None
