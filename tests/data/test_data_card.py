"""A data set in numbers, against a count by NumPy."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from nas_attn.data import IGNORED, Dataset, card_of
from nas_attn.data.dataset import assemble, pack
from nas_attn.data_card import DataCard

CLASSES = ("background", "leaf", "symptom")
SIZES = {"train": [(8, 6), (8, 6), (5, 9)], "val": [(4, 4)], "test": [(7, 7), (6, 3)]}


@pytest.fixture(scope="module")
def masks() -> dict[str, list[np.ndarray]]:
    """By split; the last class is in one image only, and some pixels are ignored."""
    generator = np.random.default_rng(0)
    drawn = {
        split: [generator.choice([0, 0, 1, IGNORED], size).astype(np.uint8) for size in sizes]
        for split, sizes in SIZES.items()
    }
    drawn["train"][2][:2] = 2
    return drawn


@pytest.fixture(scope="module")
def dataset(masks: dict[str, list[np.ndarray]]) -> Dataset:
    def split(name: str) -> object:
        images = [torch.zeros(3, *mask.shape, dtype=torch.uint8) for mask in masks[name]]
        return pack(
            images,
            [torch.from_numpy(mask) for mask in masks[name]],
            [f"{name}-{n}" for n in range(9)][: len(images)],
        )

    return assemble("leaves", CLASSES, split("train"), split("val"), split("test"))


def test_classes_and_ignored_pixels_are_counted_without_the_padding(
    dataset: Dataset, masks: dict[str, list[np.ndarray]]
) -> None:
    for split in card_of(dataset).splits:
        of_split = masks[split.split]
        labelled = np.concatenate([mask[mask != IGNORED] for mask in of_split])
        every = sum(mask.size for mask in of_split)
        assert split.images == len(of_split)
        assert split.class_shares == pytest.approx([(labelled == index).mean() for index in range(3)])
        assert split.class_images == tuple(sum((mask == index).any() for mask in of_split) for index in range(3))
        assert split.ignored_share == pytest.approx(1 - labelled.size / every)


def test_sizes_are_told_the_most_frequent_first(dataset: Dataset) -> None:
    lines = dict(card_of(dataset).lines())
    assert lines["training images"] == "3, 3 channels: 2 of 6x8, 1 of 9x5 pixels"
    assert lines["validation images"] == "1, 3 channels: 4x4 pixels"


def test_every_class_has_a_line_with_its_share_of_each_split(
    dataset: Dataset, masks: dict[str, list[np.ndarray]]
) -> None:
    lines = dict(card_of(dataset).lines())
    labelled = np.concatenate([mask[mask != IGNORED] for mask in masks["train"]])
    share = 100 * (labelled == 2).mean()
    assert lines["class 2, symptom"] == (
        f"{share:.2f}% of the pixels in training, 0.00% in validation, 0.00% in test; it is in 1, 0 and 0 images"
    )
    assert list(lines) == [
        *("training images", "validation images", "test images"),
        *("class 0, background", "class 1, leaf", "class 2, symptom"),
        "ignored pixels",
    ]


def test_it_comes_back_from_json(dataset: Dataset) -> None:
    card = card_of(dataset)
    assert DataCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card


def test_many_sizes_are_summed_up() -> None:
    shapes = [(4, 4 + n) for n in range(6)]
    images = pack(
        [torch.zeros(1, *shape, dtype=torch.uint8) for shape in shapes],
        [torch.zeros(shape, dtype=torch.uint8) for shape in shapes],
        [str(n) for n in range(6)],
    )
    lines = dict(card_of(assemble("sizes", ("a", "b"), images, images, images)).lines())
    assert lines["test images"].endswith("1 of 7x4, 2 of other sizes pixels")
    assert "ignored pixels" not in lines
