"""Weights of classes: their formula by hand, their bounds, and what is asked for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from nas_attn.data import Dataset, smears
from nas_attn.errors import UsageError
from nas_attn.training.class_weights import balanced, class_weights_of


@pytest.fixture(scope="module")
def data() -> Dataset:
    return smears(image_size=32, n_train=6, n_val=2, n_test=2)


def counts(*numbers: int, ignored: int = 0) -> torch.Tensor:
    table = torch.zeros(256, dtype=torch.long)
    table[: len(numbers)] = torch.tensor(numbers)
    table[255] = ignored
    return table


def test_weights_are_those_of_enet_over_their_mean() -> None:
    raw = [1 / math.log(1.02 + share) for share in (0.9, 0.09, 0.01)]

    assert balanced(counts(900, 90, 10, ignored=5000), 3) == pytest.approx(
        [3 * one / sum(raw) for one in raw], rel=1e-3
    )


def test_classes_alike_weigh_alike_and_a_class_that_never_occurs_at_most_36_times_as_much() -> None:
    assert balanced(counts(5, 5), 2) == (1.0, 1.0)
    common, absent = balanced(counts(10**9, 0), 2)
    assert absent / common == pytest.approx(math.log(2.02) / math.log(1.02), rel=1e-3)
    assert 35 < absent / common < 36


def test_auto_counts_the_training_masks_alone(data: Dataset) -> None:
    labels = torch.cat([data.train.mask(number).flatten() for number in range(len(data.train))])
    share = [(labels == k).double().mean().item() for k in range(len(data.classes))]
    raw = [1 / math.log(1.02 + one) for one in share]

    expected = [len(raw) * one / sum(raw) for one in raw]
    assert class_weights_of("auto", data) == pytest.approx(expected, rel=1e-3)
    assert class_weights_of("auto", replace(data, val=data.train)) == class_weights_of("auto", data)


def test_weights_are_told_to_four_digits_so_that_they_can_be_typed_again(data: Dataset) -> None:
    weights = class_weights_of("auto", data)

    assert class_weights_of(",".join(map(str, weights)), data) == weights


def test_numbers_are_taken_as_they_are_and_none_is_none(data: Dataset) -> None:
    classes = len(data.classes)

    assert class_weights_of("none", data) == ()
    assert class_weights_of(",".join(["0.5"] * classes), data) == (0.5,) * classes


def test_too_few_numbers_are_refused_with_the_names_of_the_classes(data: Dataset) -> None:
    with pytest.raises(
        UsageError, match=rf"--class-weights 1,2: 2 weights for {len(data.classes)} classes \(back"
    ):
        class_weights_of("1,2", data)
