"""An untrained network begins with the frequencies of the classes as its answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.data import smears
from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.training import initialise, label_counts, pack_images, start_at_frequencies


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
