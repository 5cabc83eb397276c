"""How often each class occurs: the answer with which a network begins, and the weights of classes in a loss."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.data import Dataset, smears
from nas_attn.errors import UsageError
from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.training import initialise, label_counts, pack_images, start_at_frequencies
from nas_attn.training.class_frequencies import balanced, class_weights_of


def test_labels_are_counted_over_all_masks_whatever_their_size():
    masks = [torch.randint(0, 3, (5, 7), dtype=torch.uint8), torch.full((2, 3), 255, dtype=torch.uint8)]
    expected = np.bincount(np.concatenate([mask.numpy().ravel() for mask in masks]), minlength=256)
    assert label_counts(masks).tolist() == expected.tolist()
    assert label_counts([]).tolist() == [0] * 256


def test_a_set_on_a_device_counts_as_its_images_do():
    data = smears(image_size=16, n_train=5, n_val=1, n_test=1)
    packed = pack_images(data.train, data.mean, data.std, torch.device("cpu"), 1)
    assert torch.equal(packed.class_counts[0], label_counts(data.train.labels))


def test_without_features_the_network_answers_with_the_frequencies():
    counts = torch.zeros(256, dtype=torch.long)
    counts[0], counts[1], counts[2], counts[255] = 70, 20, 10, 500
    network = build_unet(UNetConfig(3, 3, depth=2, base_channels=4), UNetConfig(3, 3, depth=2).plain)
    initialise(network, 0)
    weight = network.head.weight.clone()
    start_at_frequencies(network, counts)
    probabilities = network.head(torch.zeros(1, 4, 1, 1)).softmax(1).flatten()
    np.testing.assert_allclose(probabilities.detach().numpy(), [0.7, 0.2, 0.1], rtol=1e-6)
    assert torch.equal(network.head.weight, weight)


def test_a_class_that_does_not_occur_begins_at_a_thousandth():
    counts = torch.zeros(256, dtype=torch.long)
    counts[0] = 10
    module = nn.Module()
    module.head = nn.Conv2d(4, 2, 1)
    start_at_frequencies(module, counts)
    assert module.head.bias.tolist() == pytest.approx([0.0, np.log(1e-3)])


@pytest.mark.parametrize(
    "head", [None, nn.Linear(3, 2), nn.Conv2d(3, 2, 1, bias=False)], ids=["none", "other", "bias"]
)
def test_a_network_without_such_a_head_is_left_alone(head):
    module = nn.Module()
    module.head = head
    before = [parameter.clone() for parameter in module.parameters()]
    start_at_frequencies(module, torch.ones(256, dtype=torch.long))
    assert all(torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))


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
