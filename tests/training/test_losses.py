"""Every loss against its formula, and against the losses of other libraries; rare classes and ignored pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nas_attn.losses import CE_DICE, LOSSES, loss_problem, loss_text, weight_problem
from nas_attn.training import build_loss, segmentation_loss

CPU = torch.device("cpu")
OF_ONE_CLASS = [name for name in LOSSES if loss_problem(name, multi_label=False) is None]
Reference = Callable[[str], Any]


def drawn(seed: int, n: int, k: int, side: int, ignored: float) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(seed)
    masks = random.integers(0, k, (n, side, side + 1)).astype(np.uint8)
    masks[random.random(masks.shape) < ignored] = 255
    return torch.from_numpy(3 * random.standard_normal((n, k, side, side + 1))).float(), torch.from_numpy(masks)


def judged(name: str, logits: Tensor, masks: Tensor, weights: tuple[float, ...] = ()) -> float:
    return build_loss(name, weights, CPU)(logits, masks).item()


def by_hand(name: str, logits: Tensor, masks: Tensor, weights: tuple[float, ...]) -> float:
    """Pixel by pixel and class by class, in NumPy."""
    if name == CE_DICE:
        return sum(by_hand(part, logits, masks, weights) for part in ("ce", "dice"))
    scores, labels = logits.double().numpy(), masks.numpy()
    probability = np.exp(scores - scores.max(1, keepdims=True))
    probability /= probability.sum(1, keepdims=True)
    n, k, h, w = scores.shape
    weight = weights or (1.0,) * k
    pixels = [(i, y, x) for i in range(n) for y in range(h) for x in range(w) if labels[i, y, x] != 255]
    terms, counted = [], []
    if name in ("ce", "focal"):
        for i, y, x in pixels:
            p = probability[i, labels[i, y, x], y, x]
            terms.append(-((1 - p) ** 2 if name == "focal" else 1) * np.log(p))
            counted.append(weight[labels[i, y, x]])
    else:
        miss, false = (0.7, 0.3) if name == "tversky" else (0.5, 0.5)
        for c in {int(labels[p]) for p in pixels}:
            hit = sum(probability[i, c, y, x] for i, y, x in pixels if labels[i, y, x] == c)
            missed = sum(1 - probability[i, c, y, x] for i, y, x in pixels if labels[i, y, x] == c)
            wrong = sum(probability[i, c, y, x] for i, y, x in pixels if labels[i, y, x] != c)
            terms.append(1 - (hit + 0.5) / (hit + false * wrong + miss * missed + 0.5))
            counted.append(weight[c])
    return float(np.average(terms, weights=counted)) if terms else 0.0


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(OF_ONE_CLASS)),
    seed=st.integers(0, 9999),
    n=st.integers(1, 2),
    side=st.integers(1, 4),
    ignored=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    weights=st.sampled_from([(), (1.0, 2.0, 7.5), (0.01, 3.0, 0.2)]),
)
def test_a_loss_is_its_formula(
    name: str, seed: int, n: int, side: int, ignored: float, weights: tuple[float, ...]
) -> None:
    logits, masks = drawn(seed, n, 3, side, ignored)

    assert judged(name, logits, masks, weights) == pytest.approx(
        by_hand(name, logits, masks, weights), rel=1e-4, abs=1e-6
    )


def test_what_is_minimised_unless_told_otherwise_is_the_loss_of_all_studies_before() -> None:
    logits, masks = drawn(0, 3, 4, 9, 0.2)
    grown = [logits.clone().requires_grad_() for _ in range(2)]
    losses = [segmentation_loss(grown[0], masks), build_loss(CE_DICE, (), CPU)(grown[1], masks)]
    for loss in losses:
        loss.backward()

    assert losses[0].item() == losses[1].item()
    assert torch.equal(grown[0].grad, grown[1].grad)


@pytest.mark.parametrize("weights", [(), (0.5, 2.0, 4.0)], ids=["alike", "weighted"])
def test_cross_entropy_is_that_of_torch(weights: tuple[float, ...]) -> None:
    logits, masks = drawn(1, 2, 3, 6, 0.3)
    expected = F.cross_entropy(logits, masks.long(), torch.tensor(weights) if weights else None, ignore_index=255)

    assert judged("ce", logits, masks, weights) == pytest.approx(expected.item(), rel=1e-5)


def one_hot(masks: Tensor, k: int) -> Tensor:
    return F.one_hot(masks.long(), k).permute(0, 3, 1, 2).float()


def test_dice_is_that_of_monai(reference: Reference) -> None:
    logits, masks = drawn(2, 3, 4, 6, 0.0)
    theirs = reference("monai.losses").DiceLoss(softmax=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)

    assert judged("dice", logits, masks) == pytest.approx(theirs(logits, one_hot(masks, 4)).item(), rel=1e-5)


def test_focal_is_that_of_monai_which_also_averages_over_the_classes(reference: Reference) -> None:
    logits, masks = drawn(3, 2, 4, 6, 0.0)
    theirs = reference("monai.losses").FocalLoss(use_softmax=True, gamma=2.0)

    assert judged("focal", logits, masks) == pytest.approx(4 * theirs(logits, one_hot(masks, 4)).item(), rel=1e-5)


def test_tversky_is_that_of_monai(reference: Reference) -> None:
    logits, masks = drawn(4, 3, 4, 6, 0.0)
    given = {"softmax": True, "batch": True, "alpha": 0.3, "beta": 0.7, "smooth_nr": 0.5, "smooth_dr": 0.5}
    theirs = reference("monai.losses").TverskyLoss(**given)

    assert judged("tversky", logits, masks) == pytest.approx(theirs(logits, one_hot(masks, 4)).item(), rel=1e-5)


@pytest.mark.parametrize("weights", [(), (0.5, 2.0, 4.0, 1.0)], ids=["alike", "weighted"])
@pytest.mark.parametrize(("name", "false", "miss"), [("dice", 0.5, 0.5), ("tversky", 0.3, 0.7)])
def test_dice_and_tversky_are_those_of_smp_with_ignored_pixels_and_class_weights(
    reference: Reference, name: str, false: float, miss: float, weights: tuple[float, ...]
) -> None:
    """In smp Dice is Tversky with halves, and its smoothing is added to the hits, which Dice counts twice."""
    logits, masks = drawn(5, 3, 4, 6, 0.25)
    given = {"smooth": 0.5, "ignore_index": 255, "eps": 1e-12, "class_weights": list(weights) or None}
    theirs = reference("segmentation_models_pytorch.losses").TverskyLoss(
        "multiclass", alpha=false, beta=miss, **given
    )

    assert judged(name, logits, masks, weights) == pytest.approx(theirs(logits, masks.long()).item(), rel=1e-5)


@pytest.mark.parametrize("name", ["dice", "tversky"])
def test_an_absent_class_is_left_out_where_smp_counts_it_as_no_loss(reference: Reference, name: str) -> None:
    losses = reference("segmentation_models_pytorch.losses")
    logits, masks = drawn(5, 3, 4, 6, 0.25)
    masks[masks == 2] = 1
    alpha, beta = (0.3, 0.7) if name == "tversky" else (0.5, 0.5)
    theirs = losses.TverskyLoss("multiclass", alpha=alpha, beta=beta, smooth=0.5, ignore_index=255, eps=1e-12)
    three_of_four = theirs(logits, masks.long()).item() * 4 / 3

    assert judged(name, logits, masks) == pytest.approx(three_of_four, rel=1e-5)


@pytest.mark.parametrize("name", OF_ONE_CLASS)
def test_only_the_ratios_of_class_weights_matter(name: str) -> None:
    logits, masks = drawn(6, 2, 3, 5, 0.2)
    alike = judged(name, logits, masks)

    assert judged(name, logits, masks, (3.0, 3.0, 3.0)) == pytest.approx(alike, rel=1e-5)
    assert judged(name, logits, masks, (1.0, 2.0, 9.0)) == pytest.approx(
        judged(name, logits, masks, (0.01, 0.02, 0.09)), rel=1e-5
    )
    assert judged(name, logits, masks, (1.0, 2.0, 9.0)) != pytest.approx(alike, rel=1e-3)


@pytest.mark.parametrize("weights", [(), (0.1, 1.0, 5.0)], ids=["alike", "weighted"])
@pytest.mark.parametrize("name", OF_ONE_CLASS)
def test_a_batch_without_labels_has_the_loss_0_and_no_gradient(name: str, weights: tuple[float, ...]) -> None:
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = build_loss(name, weights, CPU)(logits, torch.full((2, 4, 4), 255, dtype=torch.uint8))
    loss.backward()

    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("value", [1e4, -1e4])
@pytest.mark.parametrize("name", OF_ONE_CLASS)
def test_huge_logits_give_finite_gradients(name: str, value: float) -> None:
    logits = torch.tensor([[[[value]], [[0.0]]]], requires_grad=True)
    loss = build_loss(name, (1.0, 2.0), CPU)(logits, torch.ones(1, 1, 1, dtype=torch.uint8))
    loss.backward()

    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", OF_ONE_CLASS)
def test_no_loss_reads_a_value_back_so_that_a_graph_can_hold_it(name: str) -> None:
    """The meta device has no values: whatever asks for one, or for a shape that depends on one, fails there."""
    meta = torch.device("meta")
    logits = torch.zeros(2, 3, 8, 8, device=meta, requires_grad=True)
    loss = build_loss(name, (1.0, 2.0, 3.0), meta)(logits, torch.zeros(2, 8, 8, dtype=torch.uint8, device=meta))
    loss.backward()

    assert loss.shape == ()
    assert logits.grad is not None


def test_a_loss_is_told_in_a_line() -> None:
    assert loss_text(CE_DICE, (), 0.0) == "ce+dice (cross-entropy plus soft Dice)"
    assert loss_text("focal", (0.5, 1.5), 0.33).endswith(
        ", class weights 0.5, 1.5; 33% of the crops centred on foreground"
    )


def test_weights_must_be_as_many_as_classes() -> None:
    assert weight_problem((), ("a", "b")) is None
    assert weight_problem((1.0, 2.0), ("a", "b")) is None
    problem = weight_problem((1.0, 2.0), ("a", "b", "c"))
    assert problem == "2 weights for 3 classes (a, b, c); give one number for each, in this order"
