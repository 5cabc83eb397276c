"""The loss against its formula in NumPy; ignored pixels count for nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_attn.training import segmentation_loss


def oracle(logits: np.ndarray, masks: np.ndarray) -> float:
    """Cross-entropy of the labelled pixels, plus one minus Dice, class by class and pixel by pixel."""
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    probability = exponents / exponents.sum(1, keepdims=True)
    n, k, h, w = logits.shape
    labelled = [(i, y, x) for i in range(n) for y in range(h) for x in range(w) if masks[i, y, x] != 255]
    if not labelled:
        return 0.0
    entropy = -np.mean([np.log(probability[i, masks[i, y, x], y, x]) for i, y, x in labelled])
    dice = []
    for c in range(k):
        truth = sum(masks[p] == c for p in labelled)
        if truth:
            overlap = sum(probability[i, c, y, x] for i, y, x in labelled if masks[i, y, x] == c)
            predicted = sum(probability[i, c, y, x] for i, y, x in labelled)
            dice.append(1 - (2 * overlap + 1) / (predicted + truth + 1))
    return float(entropy + np.mean(dice))


def drawn(seed: int, n: int, k: int, side: int, ignored: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    masks = random.integers(0, k, (n, side, side + 1)).astype(np.uint8)
    masks[random.random(masks.shape) < ignored] = 255
    return 3 * random.standard_normal((n, k, side, side + 1)), masks


@settings(max_examples=40)
@given(
    seed=st.integers(0, 9999),
    n=st.integers(1, 3),
    k=st.integers(2, 5),
    side=st.integers(1, 4),
    ignored=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
)
def test_the_loss_is_its_formula(seed: int, n: int, k: int, side: int, ignored: float) -> None:
    logits, masks = drawn(seed, n, k, side, ignored)
    loss = segmentation_loss(torch.from_numpy(logits), torch.from_numpy(masks))

    assert loss.item() == pytest.approx(oracle(logits, masks), rel=1e-5, abs=1e-6)


@settings(max_examples=20)
@given(seed=st.integers(0, 9999), shift=st.floats(-50, 50))
def test_what_stands_under_ignored_pixels_changes_neither_loss_nor_gradient(seed: int, shift: float) -> None:
    logits, masks = drawn(seed, 2, 3, 4, 0.4)
    losses, gradients = [], []
    for change in (0.0, shift):
        changed = torch.from_numpy(logits).clone()
        changed.permute(0, 2, 3, 1)[torch.from_numpy(masks) == 255] *= change
        changed.requires_grad_()
        loss = segmentation_loss(changed, torch.from_numpy(masks))
        loss.backward()
        losses.append(loss.item())
        gradients.append(changed.grad)

    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    labelled = torch.from_numpy(masks != 255).unsqueeze(1).expand_as(gradients[0])
    assert torch.allclose(gradients[0][labelled], gradients[1][labelled], atol=1e-7)
    assert not gradients[0][~labelled].any()
    assert not gradients[1][~labelled].any()


def test_a_batch_without_labels_has_the_loss_0_and_no_gradient() -> None:
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = segmentation_loss(logits, torch.full((2, 4, 4), 255, dtype=torch.uint8))
    loss.backward()

    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_a_perfect_answer_costs_nearly_nothing_and_a_wrong_one_much() -> None:
    masks = torch.tensor([[[0, 1], [1, 0]]], dtype=torch.uint8)
    right = torch.stack([1.0 - masks, masks.float()], 1) * 40

    assert segmentation_loss(right, masks).item() < 1e-6
    assert segmentation_loss(-right, masks).item() > 20


@pytest.mark.parametrize("value", [1e4, -1e4])
def test_huge_logits_give_finite_gradients(value: float) -> None:
    logits = torch.tensor([[[[value]], [[0.0]]]], requires_grad=True)
    loss = segmentation_loss(logits, torch.ones(1, 1, 1, dtype=torch.uint8))
    loss.backward()

    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_half_precision_logits_are_judged_in_single_precision() -> None:
    logits, masks = drawn(1, 2, 3, 4, 0.2)
    half = torch.from_numpy(logits).to(torch.bfloat16)
    loss = segmentation_loss(half, torch.from_numpy(masks))

    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(oracle(half.double().numpy(), masks), rel=1e-5)
